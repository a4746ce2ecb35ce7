#!/bin/bash
# Network namespaces to run Fairlead in: a client, the machine Fairlead runs on, and servers behind it.
#
#   namespace P-client          namespace P-fairlead               namespace P-server1
#  ┌───────────────────┐       ┌─────────────────────────┐        ┌───────────────────┐
#  │ client            ├─ veth ┤ fairlead       server1  ├─ veth ─┤ server            │
#  │ 198.18.0.2/24     │       │ 198.18.0.1   198.18.1.1 │        │ 198.18.1.2/24     │
#  │ 2001:db8:0::2/64  │       │ 2001:db8:0::1           │        │ 2001:db8:1::2/64  │
#  └───────────────────┘       │          2001:db8:1::1  │        └───────────────────┘
#                              └─────────────────────────┘         P-server2: 198.18.2.2 …
#
# With --beyond, the client is a router, too, and one more hop away there is:
#
#   namespace P-beyond: beyond 198.18.100.2/24, 2001:db8:100::2/64, behind 198.18.100.1 of P-client
#
# P is the prefix: labs with different prefixes stand side by side, with the same addresses.
# P-fairlead routes between the others, so that "no proxy at all" can be measured, too. Addresses are
# those set aside for benchmarks (RFC 2544: 198.18.0.0/15) and documentation (RFC 3849); nothing
# reaches another network: no interface leads out of the lab.
#
# What a lab consists of is written to a state file *before* it is made, and `down` removes what that
# file names and nothing else. So `up` after a crash at any point first removes its own leftovers.
#
# On a veth the receiver's interrupt work is done by the sender, in its time. --rps moves it to other
# processors, at the price of an interrupt between them for a packet or few; --napi to a thread whose
# time is its own, in batches.
#
# Choices: no duplicate address detection (a lab is ready when `up` returns); CUBIC whatever the
# machine's default, because that is what most machines run; a wide range of client ports and reuse of
# TIME_WAIT (RFC 6191), because 100,000 short connections come from one address.
set -euo pipefail
export LC_ALL=C

readonly state_dir=/run/fairlead-lab
readonly napi_interval_ns=50000
readonly allowed_cc=/proc/sys/net/ipv4/tcp_allowed_congestion_control

usage() {
  cat <<'USAGE'
usage: lab.sh up     [--prefix P] [--servers N] [--addresses N] [--offloads on|off]
                     [--mtu END=BYTES]... [--rps END=MASK]... [--napi END=PROCESSOR]... [--beyond]
       lab.sh down   [--prefix P]
       lab.sh status [--prefix P]
       lab.sh napi   [--prefix P] END
       lab.sh exec   [--prefix P] HOST COMMAND...

  P      names the lab (default fl); lower-case letters, digits, at most 8
  END    an interface: client, fairlead (towards the client), serverN (of P-fairlead, towards server
         N) or server (of every server)
  HOST   client, fairlead, server1 ... beyond
  --addresses N  of every server host: N more, 198.18.S.11 and up, for as many servers on it
  --beyond       a host behind the client, which is its router
  MASK   processors that do the receive work, hexadecimal (Documentation/networking/scaling.rst)
  --napi         what END receives, a thread on that processor does, every 50 us: a network card with
                 interrupt moderation. With GRO there and without TSO at the other end, whatever
                 --offloads says: veth wants it so. `lab.sh napi` prints the thread's id
USAGE
}

say() { echo "lab.sh: $*" >&2; }

# Status 2 is a mistake in the command, 1 something that went wrong.
die() {
  say "$2"
  exit "$1"
}

# ---- the state file ------------------------------------------------------------------------------

# One line per thing made: "netns NAME" and, for a moment during `up`, "allowed_cc OLD VALUE"; "napi END
# ID" is what `napi` prints, and goes with the namespace.
remember() { echo "$*" >>"$state"; }

# Two labs may come up at once; host-wide settings may not change under each other's feet.
take_lock() {
  mkdir -p "$state_dir"
  exec 9>"$state_dir/lock"
  flock -w 60 9 || die 1 "another lab.sh holds $state_dir/lock for more than a minute"
}

restore_allowed_cc() {
  local old
  old=$(sed -n 's/^allowed_cc //p' "$state" | head -n 1)
  [ -z "$old" ] || echo "$old" >"$allowed_cc"
  sed -i '/^allowed_cc /d' "$state"
}

remove_namespace() {
  local name=$1 left
  [ -e "/run/netns/$name" ] || return 0
  if [ "$(stat -f -c %T "/run/netns/$name")" != nsfs ]; then
    rm -f "/run/netns/$name" # `ip netns add` or `del` was interrupted: a name, and no namespace
    return 0
  fi
  left=$(ip netns pids "$name" | tr '\n' ' ')
  [ -z "$left" ] || say "processes still run in $name: $left"
  # A process that is left keeps the namespace alive, nameless; its links must not live on with it.
  ip -n "$name" -o link show type veth | sed 's/^[0-9]*: \([^@:]*\).*/\1/' |
    while read -r link; do ip -n "$name" link del "$link" 2>/dev/null || true; done
  # What a Fairlead that was killed in it kept in the kernel is named after it.
  rm -rf "/sys/fs/bpf/fairlead/$(stat -c %i "/run/netns/$name")"
  ip netns del "$name"
}

remove_lab() {
  local name names
  [ -e "$state" ] || return 0
  restore_allowed_cc
  mapfile -t names < <(sed -n 's/^netns //p' "$state")
  for name in "${names[@]}"; do remove_namespace "$name"; done
  rm -f "$state"
}

# ---- making a lab --------------------------------------------------------------------------------

make_namespace() {
  local name=$prefix-$1
  [ ! -e "/run/netns/$name" ] || die 1 "namespace $name exists and is not of this lab's making"
  remember "netns $name"
  ip netns add "$name"
  ip -n "$name" link set lo up
  ip netns exec "$name" sysctl -qw \
    net.ipv6.conf.{all,default}.accept_dad=0 net.ipv6.conf.{all,default}.accept_ra=0 \
    net.ipv6.conf.{all,default}.router_solicitations=0 \
    net.ipv4.tcp_congestion_control=cubic \
    net.ipv4.ip_local_port_range='1024 60999' net.ipv4.tcp_tw_reuse=1 \
    net.ipv4.tcp_max_syn_backlog=8192 net.core.somaxconn=8192
}

let_forward() {
  ip netns exec "$prefix-$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
}

# join HOST INTERFACE to ROUTER INTERFACE over network number N (198.18.N.0/24, 2001:db8:N::/64)
join() {
  local host=$prefix-$1 end=$2 router=$prefix-$3 router_end=$4 n=$5 name link last i
  ip link add "$end" netns "$host" address "$(printf '02:fa:1d:00:%02x:02' "$n")" type veth \
    peer name "$router_end" netns "$router" address "$(printf '02:fa:1d:00:%02x:01' "$n")"
  for name in "$router:$router_end:1" "$host:$end:2"; do
    IFS=: read -r name link last <<<"$name"
    ip -n "$name" addr add "198.18.$n.$last/24" dev "$link"
    ip -n "$name" addr add "2001:db8:$n::$last/64" dev "$link" nodad
    set_interface "$name" "$link" "$(if [ "$last" = 2 ]; then echo "$6"; else echo "$router_end"; fi)"
    ip -n "$name" link set "$link" up
  done
  receive_by_thread "$router_end" "$router" "$router_end" "$host" "$end"
  receive_by_thread "$6" "$host" "$end" "$router" "$router_end"
  for ((i = 1; n > 0 && n < 100 && i <= addresses; ++i)); do
    ip -n "$host" addr add "198.18.$n.$((10 + i))/24" dev "$end"
    ip -n "$host" addr add "2001:db8:$n::$((10 + i))/64" dev "$end" nodad
  done
  ip -n "$host" route add default via "198.18.$n.1"
  ip -n "$host" -6 route add default via "2001:db8:$n::1"
}

napi_threads() { { grep -ls "^napi/$1-" /proc/[0-9]*/comm || true; } | cut -d/ -f3 | sort; }

# receive_by_thread END NAMESPACE LINK SENDER SENDERS_LINK
receive_by_thread() {
  local before thread
  [ -n "${napi[$1]-}" ] || return 0
  ip netns exec "$4" ethtool -K "$5" tso off >/dev/null
  before=$(napi_threads "$3")
  ip netns exec "$2" sh -c "ethtool -K $3 gro on && cd /sys/class/net/$3 && echo 1 >threaded &&
    echo $napi_interval_ns >gro_flush_timeout && echo 2 >napi_defer_hard_irqs" >/dev/null
  thread=$(comm -13 <(echo "$before") <(napi_threads "$3"))
  [[ $thread =~ ^[0-9]+$ ]] || die 1 "no thread receives for $3 of $2: this kernel cannot do --napi"
  taskset -p -c "${napi[$1]}" "$thread" >/dev/null
  chrt -f -p 1 "$thread" # before processes, as interrupts are
  remember "napi $1 $thread"
}

# set_interface NAMESPACE LINK END
set_interface() {
  if [ -n "${mtu[$3]-}" ]; then ip -n "$1" link set "$2" mtu "${mtu[$3]}"; fi
  ip netns exec "$1" ethtool -K "$2" tx "$offloads" sg "$offloads" tso "$offloads" gso "$offloads" \
    gro "$offloads" >/dev/null
  if [ -n "${rps[$3]-}" ]; then
    ip netns exec "$1" sh -c "echo ${rps[$3]} >/sys/class/net/$2/queues/rx-0/rps_cpus"
  fi
}

# Lets namespaces choose CUBIC; only for as long as it takes, the choice itself stays with them.
allow_cubic() {
  local old
  read -r old <"$allowed_cc"
  case " $old " in *' cubic '*) return ;; esac
  remember "allowed_cc $old"
  echo "$old cubic" >"$allowed_cc"
}

up() {
  local i
  take_lock
  remove_lab
  : >"$state"
  trap 'remove_lab' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  allow_cubic
  make_namespace client
  make_namespace fairlead
  let_forward fairlead
  join client client fairlead fairlead 0 client
  for ((i = 1; i <= servers; ++i)); do
    make_namespace "server$i"
    join "server$i" server fairlead "server$i" "$i" server
  done
  if [ "$beyond" = yes ]; then
    make_namespace beyond
    let_forward client
    join beyond beyond client beyond 100 beyond
    ip -n "$prefix-fairlead" route add 198.18.100.0/24 via 198.18.0.2
    ip -n "$prefix-fairlead" -6 route add 2001:db8:100::/64 via 2001:db8:0::2
  fi
  for i in "${!napi[@]}"; do
    grep -q "^napi $i " "$state" || die 2 "--napi: the lab has no interface $i"
  done
  restore_allowed_cc
  trap - EXIT
}

down() {
  take_lock
  remove_lab
}

status() {
  local name names
  [ -e "$state" ] || {
    echo "lab $prefix is down"
    return 1
  }
  echo "lab $prefix is up:"
  mapfile -t names < <(sed -n 's/^netns //p' "$state")
  for name in "${names[@]}"; do
    ip -n "$name" -br addr show scope global | sed "s/^/  $name /"
  done
}

print_napi() {
  [[ $1 =~ ^[a-z0-9]+$ ]] || die 2 "napi needs an END, found '$1'"
  grep -q "^napi $1 " "$state" 2>/dev/null ||
    die 1 "lab $prefix has no thread that receives for $1, or is not up"
  sed -n "s/^napi $1 //p" "$state"
}

run_inside() {
  [ $# -ge 2 ] || die 2 "exec needs a HOST and a COMMAND"
  local host=$prefix-$1
  shift
  grep -qsx "netns $host" "$state" || die 1 "lab $prefix has no host ${host#*-}, or is not up"
  exec ip netns exec "$host" "$@"
}

# ---- the command line ----------------------------------------------------------------------------

prefix=fl servers=1 addresses=0 offloads=on beyond=no
declare -A mtu=() rps=() napi=()

need_pair() { [[ $2 =~ ^(client|fairlead|server[0-9]*)=$3$ ]] || die 2 "$1 needs END=VALUE, found '$2'"; }

command=${1-}
[ $# -eq 0 ] || shift
while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --servers | --addresses | --offloads | --mtu | --rps | --napi)
      [ $# -ge 2 ] || die 2 "$1 needs a value"
      ;;
    --beyond)
      beyond=yes
      shift
      continue
      ;;
    -*) die 2 "unknown option $1; 'lab.sh help' lists them" ;;
    *) break ;;
  esac
  case $1 in
    --prefix) prefix=$2 ;;
    --servers) servers=$2 ;;
    --addresses) addresses=$2 ;;
    --offloads) offloads=$2 ;;
    --mtu) need_pair "$1" "$2" '[0-9]+' && mtu[${2%%=*}]=${2#*=} ;;
    --rps) need_pair "$1" "$2" '[0-9a-f]+' && rps[${2%%=*}]=${2#*=} ;;
    --napi) need_pair "$1" "$2" '[0-9]+' && napi[${2%%=*}]=${2#*=} ;;
  esac
  shift 2
done
[[ $prefix =~ ^[a-z0-9]{1,8}$ ]] || die 2 "--prefix needs 1 to 8 lower-case letters or digits, found '$prefix'"
[[ $servers =~ ^[0-9]{1,2}$ ]] || die 2 "--servers needs a number from 0 to 99, found '$servers'"
[[ $addresses =~ ^[0-9]{1,2}$ ]] || die 2 "--addresses needs a number from 0 to 99, found '$addresses'"
[[ $offloads =~ ^(on|off)$ ]] || die 2 "--offloads needs on or off, found '$offloads'"
readonly state=$state_dir/$prefix

case $command in
  up | down | exec)
    [ "$(id -u)" -eq 0 ] || die 1 "needs root: it makes network namespaces"
    ;;&
  up | down | status)
    [ $# -eq 0 ] || die 2 "'$command' takes no argument, found '$1'"
    "$command"
    ;;
  exec) run_inside "$@" ;;
  napi)
    [ $# -eq 1 ] || die 2 "napi needs an END"
    print_napi "$1"
    ;;
  help | --help | -h) usage ;;
  '') usage >&2 && exit 2 ;;
  *) die 2 "unknown command '$command'; 'lab.sh help' lists them" ;;
esac
