#!/bin/bash
# make demo: Fairlead's echo server in a lab of network namespaces, and a client on kernel sockets that
# moves a file through it and compares what comes back.
#
#   demo-client ── veth ── demo-fairlead (fairlead run: echo_server 198.18.0.1 7)
#
# Leaves nothing behind, also after Ctrl-C. FAIRLEAD_BUILD names another build than build/release.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly build=${FAIRLEAD_BUILD:-build/release}
readonly prefix=demo
readonly mebibytes=${DEMO_MEBIBYTES:-1024}

if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "demo: network namespaces need root, and there is no sudo" >&2; exit 1; }
  exec sudo --preserve-env=FAIRLEAD_BUILD,DEMO_MEBIBYTES "$0" "$@"
fi

work=$(mktemp -d)
daemon=
finish() {
  trap '' INT TERM
  if [ -n "$daemon" ]; then
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  lab/lab.sh down --prefix $prefix || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

echo "== lab: two hosts on a veth pair"
lab/lab.sh up --prefix $prefix

cat >"$work/fairlead.conf" <<CONF
interface fairlead { }
echo_server 198.18.0.1 7 { }
echo_server 2001:db8::1 7 { }
control_socket $work/control.sock
CONF
echo
echo "== fairlead run -c fairlead.conf"
sed 's/^/     /' "$work/fairlead.conf"
ip netns exec $prefix-fairlead "$build/src/app/fairlead" run -c "$work/fairlead.conf" 2>"$work/log" &
daemon=$!
for _ in $(seq 100); do
  grep -q 'ready$' "$work/log" && break
  kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; exit 1; }
  sleep 0.1
done
grep -q 'ready$' "$work/log" || { echo "demo: fairlead is not ready after 10 s" >&2; exit 1; }

move() {
  ip netns exec $prefix-client "$build/lab/peers/stream_client" echo --file "$work/file" "$1" 7 >"$work/result"
  /usr/bin/python3 - "$work/result" "$1" <<'PYTHON'
import json, sys
result = json.load(open(sys.argv[1]))
same = result["hash_sent"] == result["hash_received"]
rate = result["bytes_received"] / result["seconds"] / 1e9
print(f"   {sys.argv[2]:>14}: {result['bytes_received'] / 2**20:.0f} MiB out and back in "
      f"{result['seconds']:.2f} s, {rate:.2f} GB/s each way, hashes {'equal' if same else 'DIFFER'}")
sys.exit(not same)
PYTHON
}
echo
echo "== a client on kernel sockets sends a file of $mebibytes MiB and compares what comes back"
head -c "${mebibytes}M" /dev/urandom >"$work/file"
move 198.18.0.1
move 2001:db8::1

echo
echo "== fairlead show stats"
"$build/src/app/fairlead" show stats --socket "$work/control.sock"
echo
echo "demo: done"
