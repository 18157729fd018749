"""The one look at sshd, in the host's own shell: every section begins with `@@`."""

# Without /run/sshd (a socket-activated sshd that nobody has called yet) `sshd -T` refuses to speak.
SCRIPT = r"""
PATH="$PATH:/usr/sbin:/sbin"
at() { echo "@@ $*"; }
quoted() { sed 's/^/|/'; }
[ -d /run/sshd ] || mkdir -m 0755 /run/sshd
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
at version; sshd -V 2>&1 | grep -o 'OpenSSH_[^ ,]*' | head -n 1 | quoted
sshd -T >"$T/base" 2>"$T/error"; code=$?
at status; echo "$code" | quoted
at config; if [ "$code" = 0 ]; then quoted <"$T/base"; else quoted <"$T/error"; fi

# Files as sshd finds them: the main one, and what it includes, three deep.
echo /etc/ssh/sshd_config >"$T/todo"; : >"$T/seen"
for depth in 1 2 3; do
  : >"$T/next"
  while read -r file; do
    grep -qxF "$file" "$T/seen" && continue
    echo "$file" >>"$T/seen"
    sed -n 's/^[[:space:]]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee][[:space:]=]*//p' "$file" |
      tr -d '"' | tr ' \t' '\n\n' | while read -r pattern; do
        [ -n "$pattern" ] || continue
        case "$pattern" in /*) ;; *) pattern="/etc/ssh/$pattern" ;; esac
        for found in $pattern; do [ -f "$found" ] && echo "$found"; done
      done >>"$T/next"
  done <"$T/todo"
  cp "$T/next" "$T/todo"
done
for file in /etc/ssh/sshd_config.d/*.conf; do
  [ -f "$file" ] && ! grep -qxF "$file" "$T/seen" && echo "$file" >>"$T/seen"
done
while read -r file; do
  at file "$file" "$(stat -c '%Y %a' "$file")"; quoted <"$file"
done <"$T/seen"

# Match blocks: what differs for each user that may log in, from each address that is named.
if [ "$code" = 0 ] && xargs grep -hiE '^[[:space:]]*match[[:space:]]' <"$T/seen" >"$T/match"; then
  words() {
    tr ' \t=,' '\n\n\n\n' | tr -d '!"' | sed 's:/[0-9]*$::; s/[*?]/1/g' | grep .
  }
  list() { grep -oiE "(^|[[:space:],])$1[[:space:]=]+[^[:space:]]+" "$T/match" |
    sed -E "s/^[[:space:],]*$1[[:space:]=]+//I" | words; }
  { echo root; echo nobody-known; list user
    getent passwd | awk -F: '$3 >= 1000 && $3 < 65000 && $7 !~ /(nologin|false)$/ {print $1}' |
      head -n 20; } | sort -u >"$T/users"
  { echo 203.0.113.250; list address; } | sort -u >"$T/addresses"
  host=$(list host | head -n 1); laddr=$(hostname -I 2>/dev/null | cut -d' ' -f1)
  port=$(awk '$1 == "port" {print $2; exit}' "$T/base")
  while read -r user; do while read -r addr; do
    spec="user=$user,host=${host:-client.example.org},addr=$addr"
    sshd -T -C "$spec,laddr=${laddr:-127.0.0.1},lport=${port:-22}" >"$T/there" 2>/dev/null ||
      continue
    at context "user=$user,addr=$addr"; grep -vxFf "$T/base" "$T/there" | quoted
  done <"$T/addresses"; done <"$T/users"
fi

{ awk '$1 == "hostkey" {print $2}' "$T/base"; ls /etc/ssh/ssh_host_*_key 2>/dev/null; } |
  sort -u | while read -r key; do
    [ -f "$key" ] || continue
    at key "$key"; ssh-keygen -lf "$key" 2>&1 | quoted
  done
moduli=$(awk '$1 == "modulifile" {print $2}' "$T/base")
at moduli
if [ -f "${moduli:-/etc/ssh/moduli}" ]; then
  awk '!/^#/ && NF >= 7 {n++; if ($5 + 0 < 3071) w++} END {print n + 0, w + 0}' \
    "${moduli:-/etc/ssh/moduli}" | quoted
else echo '|0 0'; fi
for kind in kex cipher mac HostKeyAlgorithms; do
  at known "$kind"; ssh -Q "$kind" 2>/dev/null | quoted
done
at service; systemctl is-active ssh.service 2>&1 | quoted
at socket; systemctl is-active ssh.socket 2>&1 | quoted
at loaded
since=$(systemctl show -p StateChangeTimestamp --value ssh.service 2>/dev/null)
[ -n "$since" ] && date -d "$since" +%s | quoted
at operator; echo "$SUDO_USER" "$(id -nG "${SUDO_USER:-root}" 2>/dev/null)" | quoted
at end
exit 0
"""
