# Settings and small helpers of the lab.

# Everything that the lab keeps: base images, programs of etcd, and a directory per lab.
STORE=${KOPSRUN_LAB_DIR:-/var/cache/kopsrun-lab}
LABS=$STORE/labs
LAB=${LAB:-lab}
STATE=$LABS/$LAB
# Labs don't see each other, so they all may use the same addresses.
NET=10.99.0
# A dot, which no name has: the networks of lab "a" aren't taken for those of lab "a-b".
NETNS=lab.$LAB

die() {
  echo "lab: $*" >&2
  exit 1
}

# each FUNCTION WORD...: the function once per word.
each() {
  local function=$1 word
  shift
  for word; do "$function" "$word"; done
}

case $LAB in *[!a-z0-9-]* | "") die "the name of a lab has only a-z, 0-9 and -: LAB='$LAB'" ;; esac

number() {
  local digits=${1##*[!0-9]}
  digits=$((10#${digits:-0}))
  [ "$digits" -ge 1 ] && [ "$digits" -le 240 ] || die "a host's name ends in a number from 1 to 240: '$1'"
  echo "$digits"
}

address() { echo "$NET.$((10 + $(number "$1")))"; }

need_hosts() {
  [ $# -gt 0 ] || die "name at least one host, for example: lab up node1 node2 node3"
  local host
  for host; do
    case $host in *[!a-z0-9-]*) die "a host's name has only a-z, 0-9 and -: '$host'" ;; esac
    number "$host" >/dev/null
  done
}

need_known() {
  need_hosts "$@"
  local host
  for host; do
    [ -d "$STATE/hosts/$host" ] || die "no host $host in lab $LAB; there are: $(hosts | tr '\n' ' ')"
  done
}

# Hosts of this lab, in the order of their numbers.
hosts() {
  local dir
  for dir in "$STATE"/hosts/*/; do
    [ ! -d "$dir" ] || echo "$(number "$(basename "$dir")") $(basename "$dir")"
  done | sort -n | cut -d' ' -f2
}

# locked FILE COMMAND...: one at a time. The lock isn't inherited by what the command leaves running.
locked() {
  local file=$1
  shift
  mkdir -p "$(dirname "$file")"
  exec 9>>"$file"
  flock 9
  "$@"
  exec 9>&-
}
