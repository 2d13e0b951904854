# The base image: one read-only root for all hosts, built once by mmdebstrap and kept while this file stays the same.

IMAGE_PACKAGES=systemd,systemd-sysv,dbus,libpam-systemd,openssh-server,iproute2,iputils-ping,ca-certificates,procps,sudo,nftables,curl,openssl
# Password of root and of the user opspw, for become with a password. Hosts can be reached from the lab's network only.
LAB_PASSWORD=kopsrun-lab
# Not needed on a host of a lab, and noise or seconds at boot.
IMAGE_MASKED="apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
getty@tty1.service console-getty.service systemd-networkd.service systemd-networkd.socket systemd-resolved.service systemd-timesyncd.service"

image_suite() { (. /etc/os-release && echo "${VERSION_CODENAME:?}"); }

# Where the image of this recipe is, or will be.
image_dir() {
  echo "$STORE/images/$(image_suite)-$( { cat "$HERE/lib/image.sh"; dpkg --print-architecture; } | sha256sum | cut -c1-12)"
}

image() {
  [ "${1:-}" != --force ] || [ ! -d "$(image_dir)" ] || image_unused "$(image_dir)" || die "labs use this image: lab down --all first"
  [ "${1:-}" != --force ] || rm -rf --one-file-system "$(image_dir)"
  [ -e "$(image_dir)/.done" ] || locked "$STORE/image.lock" build_image
}

image_unused() {
  ! cat "$LABS"/*/image 2>/dev/null | grep -qxF "$1"
}

build_image() {
  local dir new began old
  dir=$(image_dir)
  [ ! -e "$dir/.done" ] || return 0
  began=$SECONDS
  case $(stat -f -c %T "$STORE") in
    overlayfs) die "$STORE lies on overlayfs, on which hosts can't have disks; set KOPSRUN_LAB_DIR to a directory on ext4, xfs or tmpfs" ;;
  esac
  echo "lab: building the base image (once, about a minute)" >&2
  new=$dir.new
  rm -rf --one-file-system "$new"
  mkdir -p "$(dirname "$new")"
  debian_sources | sed 's/^/deb /; s/$/ main/' >"$STORE/image.list"
  mmdebstrap --mode=root --variant=minbase --include="$IMAGE_PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$(image_suite)" "$new" "$STORE/image.list" >"$STORE/image.log" 2>&1 9>&- </dev/null ||
    die "mmdebstrap failed; the end of $STORE/image.log: $(tail -5 "$STORE/image.log")"
  shape_image "$new"
  touch "$new/.done"
  mv "$new" "$dir"
  for old in "$STORE"/images/*; do
    [ "$old" = "$dir" ] || ! image_unused "$old" || rm -rf --one-file-system "$old"
  done
  echo "lab: image ready after $((SECONDS - began)) s, $(du -sm "$dir" | cut -f1) MiB" >&2
}

shape_image() {
  local root=$1 unit python
  # What makes a machine itself is made for each host: keys of sshd, machine id.
  rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id"
  : >"$root/etc/machine-id"
  : >"$root/etc/resolv.conf"
  for unit in $IMAGE_MASKED; do ln -sfn /dev/null "$root/etc/systemd/system/$unit"; done
  printf '%s\n' 'UseDNS no' 'MaxStartups 200' 'MaxSessions 200' 'PermitRootLogin prohibit-password' >"$root/etc/ssh/sshd_config.d/lab.conf"
  # How apt of this machine was told to behave holds in hosts too; a proxy isn't reachable from them.
  grep -hs '^Acquire::' /etc/apt/apt.conf.d/* | grep -Ev 'Gzip|Languages|Proxy' >"$root/etc/apt/apt.conf.d/99lab" || true
  chroot "$root" useradd -m -s /bin/bash ops
  chroot "$root" useradd -m -s /bin/bash opspw
  printf '%s:%s\n' root "$LAB_PASSWORD" opspw "$LAB_PASSWORD" | chroot "$root" chpasswd
  echo 'ops ALL=(ALL) NOPASSWD:ALL' >"$root/etc/sudoers.d/ops"
  echo 'opspw ALL=(ALL) ALL' >"$root/etc/sudoers.d/opspw"
  chmod 0440 "$root/etc/sudoers.d/ops" "$root/etc/sudoers.d/opspw"
  # kopsrun needs no Python on hosts; a lab without any proves it.
  python=$(find "$root" -xdev -name 'python3*' -path '*/bin/*' -print -quit)
  [ -z "$python" ] || die "a package brought Python into the image: $python"
}
