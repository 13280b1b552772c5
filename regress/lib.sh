# shellcheck shell=bash
# lib.sh - what regress/run and bench/demo share: finding or installing what they need, building,
# and a throwaway server.
#
# Sourced by bash under "set -euo pipefail". A script calls, in this order:
#   need_packages ...   tools are there, or get installed, or it stops with a clear error; sets PG_CONFIG
#   start_work          makes $WORK, removed at exit however the script ends
#   build_and_install   builds a copy of the tree, installs it into the server of PG_CONFIG
#   start_server        starts a server in $WORK, on a socket there, without TCP
#
# Everything but the installation runs as an unprivileged user: servers refuse to run as root.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SUPPORTED='15 16 17 18 19'
JOBS=${JOBS:-$(nproc 2>/dev/null || echo 2)}
# How long a server may take to start, stop or promote: a slow machine is no failure.
export PGCTLTIMEOUT=${PGCTLTIMEOUT:-600}

say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
die() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# ---- what has to be there ----

# The newest supported server of Debian's that has its headers or, with "any", at least its binaries.
find_pg_config() {
	local v

	for v in 18 17 16 15; do
		local bin=/usr/lib/postgresql/$v/bin
		[ -x "$bin/postgres" ] || continue
		[ "${1-}" = any ] || [ -f "/usr/include/postgresql/$v/server/postgres.h" ] || continue
		echo "$bin/pg_config"
		return
	done
}

# True if header $1 is found by the C++ compiler.
have_header() { printf '#include <%s>\n' "$1" | c++ -E -x c++ - >/dev/null 2>&1; }

have_perl_module() { perl -e "require $1" 2>/dev/null; }

# The major version of a server that is Debian's own; nothing for others.
debian_major() { sed -n 's,^/usr/lib/postgresql/\([0-9]*\)/.*,\1,p' <<<"$1"; }

# Prints the Debian packages that are missing; the arguments name the groups needed: build, docs, lint, package, test, torture.
missing_packages() {
	local group major

	for group in "$@"; do
		case $group in
			build)
				command -v make >/dev/null || echo make
				command -v gcc >/dev/null || echo gcc
				command -v g++ >/dev/null || echo g++
				have_header boost/container/static_vector.hpp || echo libboost-dev
				;;
			docs)
				command -v cmark-gfm >/dev/null || echo cmark-gfm
				;;
			lint)
				command -v shellcheck >/dev/null || echo shellcheck
				;;
			package)
				[ -n "$(debian_major "${PG_CONFIG:-$(find_pg_config)}")" ] || continue
				command -v dpkg-buildpackage >/dev/null || echo dpkg-dev
				command -v dh >/dev/null || echo debhelper
				command -v lintian >/dev/null || echo lintian
				[ -e /usr/share/doc/postgresql-server-dev-all ] || echo postgresql-server-dev-all
				;;
			test)
				have_header gtest/gtest.h || echo libgtest-dev
				command -v prove >/dev/null || echo perl
				have_perl_module IPC::Run || echo libipc-run-perl
				# A test runs it where it is there; not all releases have it.
				major=$(debian_major "${PG_CONFIG:-$(find_pg_config)}")
				[ -z "$major" ] || [ -f "/usr/share/postgresql/$major/extension/pg_repack.control" ] ||
					! apt-cache show "postgresql-$major-repack" >/dev/null 2>&1 || echo "postgresql-$major-repack"
				# So is this one, but for servers of any version.
				command -v prometheus-postgres-exporter >/dev/null || ! command -v apt-get >/dev/null ||
					echo prometheus-postgres-exporter
				;;
		esac
	done

	# A server that PG_CONFIG names is the caller's business.
	if [ -z "${PG_CONFIG-}" ] && [ -z "$(find_pg_config)" ]; then
		major=$(debian_major "$(find_pg_config any)")
		if [ -z "$major" ]; then
			# The version of this Debian release, which the metapackage "postgresql" depends on.
			major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1)
			echo "postgresql-${major:-NN}"
		fi
		echo "postgresql-server-dev-${major:-NN}"
	fi
}

# Runs a command as root: directly, or with sudo where it works without a dialogue nobody could answer.
can_be_root() {
	[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages GROUP...: installs what missing_packages() finds, and settles PG_CONFIG.
need_packages() {
	local missing

	missing=$(missing_packages "$@" | tr '\n' ' ')
	if [ -n "$missing" ]; then
		say "Installing what is missing: $missing"
		command -v apt-get >/dev/null ||
			die "missing: $missing(names of Debian packages). Install their equivalents, set PG_CONFIG and try again."
		can_be_root ||
			die "missing packages, and neither root nor sudo to install them. As root: apt-get install $missing"
		as_root apt-get update -qq -o Acquire::Retries=5
		# Only now are the package lists there that say which version this release has.
		missing=$(missing_packages "$@")
		# shellcheck disable=SC2086 # a list of words
		install_packages $missing
	fi

	PG_CONFIG=${PG_CONFIG:-$(find_pg_config)}
	[ -n "$PG_CONFIG" ] || die "no PostgreSQL server found after the installation; set PG_CONFIG"
	"$PG_CONFIG" --version >/dev/null 2>&1 || die "cannot run PG_CONFIG=$PG_CONFIG"
	PG_CONFIG=$(command -v "$PG_CONFIG")
	PG_VERSION=$("$PG_CONFIG" --version)
	PG_MAJOR=${PG_VERSION#PostgreSQL }
	PG_MAJOR=${PG_MAJOR%%[!0-9]*}
	case " $SUPPORTED " in
		*" $PG_MAJOR "*) ;;
		*) die "$PG_VERSION is not supported, PostgreSQL $SUPPORTED are" ;;
	esac
	[ -x "$("$PG_CONFIG" --bindir)/postgres" ] || die "$PG_CONFIG belongs to an installation without a server"
	[ -f "$("$PG_CONFIG" --includedir-server)/postgres.h" ] ||
		die "$PG_CONFIG belongs to an installation without server headers (Debian: postgresql-server-dev-$PG_MAJOR)"
}

# Debian creates and starts a cluster "main" with the first server package. We want the
# programs only, so that is turned off, for this one installation.
NO_CLUSTER_CONF=/etc/postgresql-common/createcluster.d/omen_alex_setup.conf
NO_CLUSTER=
install_packages() {
	local conf=$NO_CLUSTER_CONF server='' status=0

	if printf '%s\n' "$@" | grep -qx 'postgresql-[0-9]*'; then server=1; fi
	if [ -n "$server" ]; then
		NO_CLUSTER=1
		as_root mkdir -p "${conf%/*}"
		echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
	fi
	# Of all that apt and dpkg say: what shows that they work, and what may explain why they do not.
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 "$@" 2>&1 |
		sed -n -e 's/^Setting up/   &/p' -e '/^[EW]: /p' -e '/[Ee]rror[: ]/p' || status=$?
	[ -z "$server" ] || as_root rm -f "$conf"
	NO_CLUSTER=
	[ $status = 0 ] || die "apt-get could not install: $*"
}

# ---- the work directory and its end ----

WORK=
KEEP_LOGS=
# An interrupt can meet the shell while its output is redirected, so an EXIT trap starts with own_output.
exec 8>&1 9>&2
own_output() { exec >&8 2>&9; }
trap end_work EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# /var/tmp, not /tmp: that is memory on many systems, and this may take gigabytes.
start_work() {
	# nobody owns no files, so what runs as nobody can harm none.
	if [ "$(id -u)" = 0 ]; then
		RUN_UID=$(id -u nobody) RUN_GID=$(id -g nobody)
	else
		RUN_UID=$(id -u) RUN_GID=$(id -g)
	fi
	WORK=$(mktemp -d "${TMPDIR:-/var/tmp}/omen_alex.XXXXXX")
	[ ${#WORK} -le 80 ] || { rmdir "$WORK"; die "the path of TMPDIR is too long for a socket: $WORK"; }
	mkdir "$WORK/log" "$WORK/home"
	chmod 755 "$WORK"
	give "$WORK" "$WORK/log" "$WORK/home"
}

give() { [ "$(id -u)" != 0 ] || chown -R "$RUN_UID:$RUN_GID" "$@"; }

# as_user COMMAND...: as the unprivileged user, with a home and a temporary directory in $WORK.
as_user() {
	if [ "$(id -u)" = 0 ]; then
		HOME=$WORK/home TMPDIR=$WORK setpriv --reuid "$RUN_UID" --regid "$RUN_GID" --clear-groups -- "$@" 8>&- 9>&-
	else
		TMPDIR=$WORK "$@" 8>&- 9>&-
	fi
}

# A disk of SIZE in memory, at $SMALL_DISK, for what happens when one is full.
SMALL_DISK=
mount_small_disk() {
	SMALL_DISK=$WORK/small
	export SMALL_DISK
	mkdir "$SMALL_DISK"
	as_root mount -t tmpfs -o "size=$1,mode=0700,uid=$RUN_UID,gid=$RUN_GID" tmpfs "$SMALL_DISK"
}

unmount_small_disk() {
	[ -n "$SMALL_DISK" ] || return 0
	as_root umount -l "$SMALL_DISK"
	rmdir "$SMALL_DISK"
	SMALL_DISK=
}

# end_work [STATUS]: the EXIT trap; stops servers, removes $WORK and ends the script.
end_work() {
	local status=$? pidfile pid

	status=${1-$status}
	trap - EXIT INT TERM HUP
	set +e
	own_output
	# An interrupt may have come in the middle of an installation.
	[ -z "$NO_CLUSTER" ] || as_root rm -f "$NO_CLUSTER_CONF"
	[ -n "$WORK" ] || exit "$status"
	cd /
	# Every server below $WORK is ours: the one started here, and any that a test left behind. A pid file
	# can outlive its server, and its number can by now be another program's: a server's working directory tells.
	while IFS= read -r pidfile; do
		pid=$(head -n 1 "$pidfile" 2>/dev/null)
		is_server() { [ "$(readlink "/proc/$pid/cwd")" = "${pidfile%/*}" ]; }
		is_server && kill -QUIT "$pid"
		for _ in 1 2 3 4 5 6 7 8 9 10; do is_server && sleep 0.3; done
		is_server && kill -KILL "$pid"
	done < <(find "$WORK" -name postmaster.pid 2>/dev/null)
	unmount_small_disk
	if [ -n "$KEEP_LOGS" ]; then
		# Keep what explains the failure: logs and differences, not servers and objects.
		find "$WORK" -mindepth 1 -maxdepth 1 ! -name log -exec rm -rf {} +
	else
		rm -rf "$WORK"
	fi
	exit "$status"
}

# ---- build, install ----

# build_and_install [NAME]: builds a copy of the tree, so that neither owner, server nor flags mix with a developer's
# objects. NAME keeps apart what belongs to several servers.
build_and_install() {
	local name=${1-}

	say "Building for $PG_VERSION ($PG_CONFIG)"
	make_server_usable "$name"
	SRC=$WORK/src$name
	mkdir "$SRC"
	tar -C "$TOP" --exclude=./.git --exclude=./build --exclude=./results --exclude=./tmp_check \
		--exclude='*.o' --exclude='*.d' --exclude='*.so' --exclude=build.stamp -cf - . | tar -C "$SRC" -xf -
	give "$SRC"
	if ! as_user make -s -C "$SRC" -j"$JOBS" PG_CONFIG="$PG_CONFIG" WERROR="${WERROR-}" >"$WORK/log/build$name.log" 2>&1; then
		tail -n 40 "$WORK/log/build$name.log" >&2
		return 1
	fi
	grep -A 3 'warning:' "$WORK/log/build$name.log" || true
	# It shall load where there is no C++ library, and headers can call into one.
	! nm -D "$SRC/omen_alex.so" | grep -E 'GLIBCXX|CXXABI' || die 'the module needs the C++ library'

	if ! $INSTALLER make -C "$SRC" install PG_CONFIG="$PG_CONFIG" WERROR="${WERROR-}" >"$WORK/log/install$name.log" 2>&1; then
		tail -n 40 "$WORK/log/install$name.log" >&2
		return 1
	fi
	note "installed into $("$PG_CONFIG" --pkglibdir)"
}

# Sets BINDIR. Where the extension may not be installed, where the unprivileged user cannot run the server (a
# developer's build in /root), or with PRIVATE_SERVER=1, a copy of the server takes its place. A server
# finds its files by their place relative to its own, so a copy works if that stays as it was.
make_server_usable() {
	BINDIR=$("$PG_CONFIG" --bindir)
	local lib share prefix=${BINDIR%/bin} copy=$WORK/pg${1-}
	lib=$("$PG_CONFIG" --pkglibdir)
	share=$("$PG_CONFIG" --sharedir)

	INSTALLER=
	if [ ! -w "$lib" ] || [ ! -w "$share/extension" ]; then
		if can_be_root; then INSTALLER=as_root; else PRIVATE_SERVER=1; fi
	fi
	[ -n "${PRIVATE_SERVER-}" ] || ! as_user "$BINDIR/postgres" --version >/dev/null 2>&1 || return 0

	note "using a private copy of the server in $prefix"
	mkdir "$copy"
	case "$lib $share" in
		"$prefix/"*" $prefix/"*) set -- "$prefix" ;;
		# Debian's, spread over /usr.
		*) set -- "$BINDIR" "$lib" "$share" "$("$PG_CONFIG" --includedir-server)" ;;
	esac
	tar -C / -cf - "${@#/}" | tar -C "$copy" -xf -
	give "$copy"
	# Its own libpq, if the installation has one of its own.
	export LD_LIBRARY_PATH=$copy$prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
	BINDIR=$copy$BINDIR
	PG_CONFIG=$BINDIR/pg_config
	INSTALLER=
}

# ---- the throwaway server ----

# start_server [SETTING...]: a new cluster with these lines in its configuration. The PG* variables then
# lead every client to it, as user postgres.
start_server() {
	export PGHOST=$WORK PGPORT=54329 PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=30
	unset PGPASSWORD PGSERVICE PGOPTIONS PGSSLMODE 2>/dev/null || true
	cd "$WORK" || return
	as_user "$BINDIR/initdb" -D "$WORK/data" -U postgres -A trust -E UTF8 --no-locale -N >"$WORK/log/initdb.log" 2>&1 ||
		{ cat "$WORK/log/initdb.log" >&2; die "initdb failed"; }
	# fsync off: what is tested or measured here never has to survive the machine.
	printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$WORK'" "port = $PGPORT" 'fsync = off' \
		'log_line_prefix = '"'%m [%p] %q%a '" "$@" | as_user tee -a "$WORK/data/postgresql.conf" >/dev/null
	as_user "$BINDIR/pg_ctl" -D "$WORK/data" -l "$WORK/log/server.log" -w start >"$WORK/log/pg_ctl.log" 2>&1 ||
		{ tail -n 20 "$WORK/log/server.log" >&2; die "the server did not start"; }
}

# sql [PSQL ARGUMENT...]: psql without the user's settings; any error ends it.
sql() { as_user "$BINDIR/psql" -X -q -v ON_ERROR_STOP=1 "$@"; }
