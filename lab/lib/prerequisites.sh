# Programs that the lab needs, installed by apt when they are missing.

PROGRAMS="systemd-nspawn:systemd-container mmdebstrap:mmdebstrap socat:socat nft:nftables ssh:openssh-client
ssh-keygen:openssh-client ip:iproute2 nsenter:util-linux pgrep:procps openssl:openssl dpkg-deb:dpkg"

need_programs() {
  local entry missing=
  for entry in $PROGRAMS; do
    PATH=$PATH:/usr/sbin:/sbin command -v "${entry%%:*}" >/dev/null || missing="$missing ${entry##*:}"
  done
  [ -z "$missing" ] || install_packages $missing
}

install_packages() {
  command -v apt-get >/dev/null || die "these Debian packages are missing, and there is no apt-get to install them: $*"
  echo "lab: installing $*" >&2
  locked "$STORE/apt.lock" apt_install "$@"
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  local quiet="-qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 --no-install-recommends"
  # shellcheck disable=SC2086
  apt-get install $quiet "$@" </dev/null >&2 9>&- && return 0
  apt-get update -qq </dev/null >&2 9>&- || die "apt-get update failed: is a Debian mirror reachable?"
  # shellcheck disable=SC2086
  apt-get install $quiet "$@" </dev/null >&2 9>&- || die "cannot install: $*"
}

# The sources of this machine that come from Debian, one "URI SUITE" a line.
debian_sources() {
  local lines
  lines=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' 2>/dev/null | sort -u)
  if [ -z "$lines" ]; then
    apt-get update -qq </dev/null >&2 || die "apt-get update failed: is a Debian mirror reachable?"
    lines=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' | sort -u)
  fi
  [ -n "$lines" ] || die "this machine has no apt sources of Debian; the lab needs Debian 12 or newer"
  echo "$lines"
}

# The mirror of Debian's main archive.
debian_mirror() {
  local suite
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
  debian_sources | awk -v suite="$suite" '$2 == suite {print $1; exit}'
}
