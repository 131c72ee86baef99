# Sourced by bin/demo, bin/test and bin/bench: installs what they need, once, and says what it does.
# Leaves $root (the checkout) and $python (the virtual environment's interpreter) behind.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv="$root/.venv"
python="$venv/bin/python"

case "${KYUSAI_LANG:-${LC_ALL:-${LANG:-}}}" in
  ja*) japanese=yes ;;
  *) japanese=no ;;
esac
say() { # say ENGLISH JAPANESE
  if [ "$japanese" = yes ]; then printf '%s\n' "$2" >&2; else printf '%s\n' "$1" >&2; fi
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

wanted_packages() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$root/bin/packages.txt"; }

missing_packages() {
  local name
  for name in $(wanted_packages); do
    dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || printf '%s ' "$name"
  done
}

install_packages() {
  local missing policy=/usr/sbin/policy-rc.d
  missing=$(missing_packages)
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "These Debian packages are missing and need root to install: $missing" \
        "次の Debian パッケージが必要ですが、導入には root 権限が要ります: $missing"
    exit 1
  fi
  say "Installing Debian packages: $missing" "Debian パッケージを導入しています: $missing"
  # Debian starts a daemon as soon as it is installed, on all addresses. This machine is no site box (yet): keep them off.
  local made_policy=no
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    made_policy=yes
  fi
  local log status=0
  log=$(mktemp)
  { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 || status=$?
  [ "$made_policy" = no ] || as_root rm -f "$policy"
  if [ "$status" != 0 ]; then
    tail -n 20 "$log" >&2
    say "The packages could not be installed; the log is in $log" "パッケージを導入できませんでした。記録: $log"
    exit 1
  fi
  rm -f "$log"
  if [ -d /run/systemd/system ]; then
    local unit
    for unit in kamailio rtpengine-daemon; do
      case " $missing " in *" $unit "*) as_root systemctl disable --quiet "$unit" 2>/dev/null || true ;; esac
    done
  fi
}

quietly() { # quietly COMMAND...: what it says is shown only when it fails
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "This failed: $*; the log is in $log" "失敗しました: $* 記録: $log"
    exit 1
  fi
  rm -f "$log"
}

install_python() {
  local stamp="$venv/.kyusai-stamp" wanted
  wanted=$(cat "$root/requirements.lock" "$root/pyproject.toml" | sha256sum | cut -d' ' -f1)
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "Setting up the Python environment in .venv (about a minute)" "Python 環境を .venv に用意しています (約 1 分)"
  # The system's own Python, the one that Kamailio embeds.
  [ -x "$python" ] || /usr/bin/python3 -m venv "$venv"
  quietly "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$root/requirements.lock"
  quietly "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e "$root"
  printf '%s\n' "$wanted" >"$stamp"
}

install_packages
install_python
cd "$root"
