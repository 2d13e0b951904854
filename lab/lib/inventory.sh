# The lab as an inventory. Host keys are checked, against the lab's own known_hosts.

inventory() {
  local known=$STATE/known_hosts
  if [ "${1:-}" = --known-hosts ]; then
    known=${2:?usage: lab inventory --known-hosts FILE [HOST...]}
    shift 2
  fi
  [ $# -gt 0 ] || set -- $(hosts)
  [ $# -gt 0 ] || die "lab $LAB has no hosts; lab up node1 node2 node3 first"
  need_known "$@"
  [ "$known" = "$STATE/known_hosts" ] || known_hosts "$@" >"$known"
  local members planes nodes host
  members=$(comm_words "$(cat "$STATE/etcd" 2>/dev/null || true)" "$*")
  planes=$members
  nodes=
  for host; do [[ " $planes " == *" $host "* ]] || nodes="$nodes $host"; done
  cat <<TEXT
# Lab $LAB, written by \`lab inventory\`. Its hosts are reached from the lab's own network: lab/lab in kopsrun ...
all:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: $STATE/id
    ansible_ssh_common_args: -o UserKnownHostsFile=$known -o StrictHostKeyChecking=yes
  hosts:
TEXT
  for host; do
    printf '    %s:\n      ansible_host: %s\n      ip: %s\n' "$host" "$(address "$host")" "$(address "$host")"
    [[ " $members " != *" $host "* ]] || printf '      etcd_member_name: %s\n' "$(member_name "$host" "$(cat "$STATE/etcd")")"
  done
  echo "  children:"
  # shellcheck disable=SC2086
  {
    inventory_group etcd $members
    inventory_group kube_control_plane $planes
    inventory_group kube_node $nodes
  }
  printf '    k8s_cluster:\n      children:\n        kube_control_plane:\n        kube_node:\n'
}

inventory_group() {
  local group=$1 host
  shift
  if [ $# = 0 ]; then
    printf '    %s:\n      hosts: {}\n' "$group"
  else
    printf '    %s:\n      hosts:\n' "$group"
    for host; do printf '        %s:\n' "$host"; done
  fi
}

# The words of the first text that the second has too.
comm_words() {
  local word found=
  for word in $1; do [[ " $2 " != *" $word "* ]] || found="$found $word"; done
  echo "${found# }"
}
