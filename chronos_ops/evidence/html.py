"""executed.html: the notebook as one page that loads nothing from outside, the verdict on top."""

import html
import json
import re
from typing import Any

from chronos_ops.evidence.display import verdict_html
from chronos_ops.model.result import Result

# nbconvert's own addresses; empty ones leave the scripts out.
_NOTHING_FROM_OUTSIDE = {
    "mathjax_url": "",
    "require_js_url": "",
    "jquery_url": "",
    "mermaid_js_url": "",
    "mermaid_layout_elk_js_url": "",
    "widget_renderer_url": "",
}
_STYLE = """<style>
body.jp-Notebook, main { max-width: 1080px; margin: 0 auto; padding: 12px 20px 60px; }
.chronos-banner { font-family: var(--jp-content-font-family, sans-serif); margin: 12px 0 24px; }
.chronos-banner table, .chronos-step table { border-collapse: collapse; font-size: 13px; }
.chronos-banner th, .chronos-step th { font-weight: 600; border-bottom: 1px solid #ccc; }
.chronos-banner a, .chronos-step a { color: #0060a8; text-decoration: underline; }
.jp-OutputPrompt, .jp-InputPrompt { min-width: 64px; }
.jp-RenderedSVG svg, .jp-RenderedImage img { max-width: 100%; height: auto; }
@media print { .jp-InputPrompt, .jp-OutputPrompt { display: none; } }
</style>"""


def page(notebook: dict[str, Any], result: Result) -> str:
    """The executed (and redacted) notebook as HTML, with its title and its verdict's banner."""
    import nbformat
    from nbconvert.exporters.html import HTMLExporter

    make: Any = HTMLExporter  # untyped, as is nbformat
    read: Any = nbformat.reads
    exporter = make(template_name="lab", embed_images=True, **_NOTHING_FROM_OUTSIDE)
    node = read(json.dumps(notebook), as_version=4)
    body, _ = exporter.from_notebook_node(node, {"metadata": {"name": title(result)}})
    banner = f'{_STYLE}<div class="chronos-banner">{_linked(verdict_html(result), notebook)}</div>'
    whole, count = re.subn(r"(<main[^>]*>)", lambda m: m[1] + banner, str(body), count=1)
    if count == 0:
        whole = re.sub(r"(<body[^>]*>)", lambda m: m[1] + banner, str(body), count=1)
    return whole


def title(result: Result) -> str:
    """What a browser's tab says."""
    parts = [result.runbook, result.scenario or "", result.target, result.verdict, result.run_id]
    return " · ".join(part for part in parts if part)


def _linked(banner: str, notebook: dict[str, Any]) -> str:
    """Reasons begin with the cell they come from: a link to it."""
    for cell in notebook["cells"]:
        name = html.escape(str(cell.get("id", "")))
        if name:
            banner = banner.replace(f"<li>{name}: ", f'<li><a href="#cell-id={name}">{name}</a>: ')
    return banner
