"""Units of systemd, as the controls of several areas judge them."""

from chronos_ops.model.control import Verdict
from chronos_ops.model.settings import Settings
from chronos_ops.plans.controls.verdicts import Judge, Values, judged


def unit_state(values: Values, name: str) -> tuple[str, str]:
    """Whether it is enabled, and whether it is active; empty words: there is no such unit."""
    unit = values["units"].get(name, {})
    return unit.get("UnitFileState", ""), unit.get("ActiveState", "")


def runs(*names: str) -> Judge:
    """One of the units is enabled and active."""

    def judge(_: Settings, values: Values) -> Verdict:
        seen = {name: unit_state(values, name) for name in names}
        good = any(
            e in ("enabled", "static", "generated") and a == "active" for e, a in seen.values()
        )
        said = ", ".join(f"{name} {e or 'not there'} {a}" for name, (e, a) in seen.items())
        return judged(good, said, "enabled and active")

    return judge
