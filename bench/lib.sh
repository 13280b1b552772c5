# shellcheck shell=bash
# lib.sh - what the commands of bench/ share, on top of regress/lib.sh, which it sources.

# shellcheck source=regress/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../regress/lib.sh"

# Replaces the EXIT trap of regress/lib.sh: an error may have its reason in the server's log.
finish() {
	local status=$?

	own_output
	if [ $status != 0 ] && [ $status -lt 128 ] && [ -n "$WORK" ] && [ -s "$WORK/log/server.log" ]; then
		printf '\nThe last lines of the server log:\n' >&2
		tail -n 15 "$WORK/log/server.log" >&2
	fi
	end_work $status
}
trap finish EXIT

# ---- options ----

# The comment a script starts with, from its third line on.
SELF=$TOP/bench/${0##*/}
script_help() { sed -n '3,/^$/s/^# \{0,1\}//p' "$SELF"; }

# positive NUMBER...: stops unless all are.
positive() {
	local number

	for number in "$@"; do
		[[ $number =~ ^[1-9][0-9]{0,8}$ ]] || die "not a positive number, or too large: $number"
	done
}

# ---- what has to be there ----

# need_program COMMAND PACKAGE: installs the Debian package unless the command is there.
need_program() {
	command -v "$1" >/dev/null && return
	say "Installing what is missing: $2"
	if ! command -v apt-get >/dev/null || ! can_be_root; then
		die "missing: $2. As root: apt-get install $2"
	fi
	as_root apt-get update -qq
	install_packages "$2"
}

# need_space MB
need_space() {
	local have

	have=$(df -Pm "$WORK" | awk 'NR == 2 { print $4 }')
	[ "$have" -ge "$1" ] || die "this needs about $1 MB below $WORK, there are $have; set TMPDIR or measure less"
}

# ---- the server ----

# A quarter of the memory, between 128 MB and 8 GB.
shared_buffers() { awk '/^MemTotal:/ { mb = int($2 / 4096); print (mb < 128 ? 128 : mb > 8192 ? 8192 : mb) "MB" }' /proc/meminfo; }

# Indexes are measured on a server with these settings. Without full-page images WAL bytes do not depend on when the last
# checkpoint was; the images an index logs for reasons of its own are still there. Checkpoints come between
# measurements, not while something is measured.
# start_index_server ROWS SEED [SETTING...]
start_index_server() {
	local wal=$(($1 / 500000 + 2)) seed=$2

	shift 2
	say "Starting a server of its own, shared_buffers = $(shared_buffers)"
	start_server "shared_buffers = $(shared_buffers)" 'autovacuum = off' 'jit = off' 'maintenance_work_mem = 1GB' \
		'max_parallel_maintenance_workers = 0' 'full_page_writes = off' 'wal_level = replica' \
		"max_wal_size = $((wal < 10 ? wal : 10))GB" 'checkpoint_timeout = 1d' "$@"
	sql -c 'CREATE EXTENSION omen_alex'
	sql -v seed="$seed" -f "$SRC/bench/sql/keys.sql" -f "$SRC/bench/sql/measure.sql" -f "$SRC/bench/sql/report.sql"
}

restart_server() {
	as_user "$BINDIR/pg_ctl" -D "$WORK/data" -l "$WORK/log/server.log" -m fast -w -t 600 -o "$*" restart >"$WORK/log/pg_ctl.log" 2>&1 ||
		{ tail -n 20 "$WORK/log/server.log" >&2; die "the server did not restart"; }
}

# The same, and the operating system's cache has none of its data. (A file system in memory cannot do that.)
restart_server_cold() {
	as_user "$BINDIR/pg_ctl" -D "$WORK/data" -m fast -w -t 600 stop >"$WORK/log/pg_ctl.log"
	sync
	as_user find "$WORK/data/base" -type f -exec dd if={} iflag=nocache count=0 status=none ';'
	as_user "$BINDIR/pg_ctl" -D "$WORK/data" -l "$WORK/log/server.log" -w -t 600 start >"$WORK/log/pg_ctl.log" 2>&1 ||
		{ tail -n 20 "$WORK/log/server.log" >&2; die "the server did not start"; }
}

# ---- the results ----

# results_file NAME: sets RESULTS, the files to write, without their endings.
results_file() {
	[[ $1 != */* ]] || die '--name is the name of a file, not a path'
	mkdir -p "$TOP/bench/results"
	# shellcheck disable=SC2034 # the scripts write to it
	RESULTS=$TOP/bench/results/$1
}

# heading TITLE LINE...: what was measured, by what and with which settings; in the database PGDATABASE.
heading() {
	local line title=$1

	shift
	printf '# %s\n\n' "$title"
	for line in "omen_alex $(sql -At -c "SELECT extversion FROM pg_extension WHERE extname = 'omen_alex'") ($(git -C "$TOP" describe --always --dirty 2>/dev/null || echo 'unknown version'))" \
		"$(sql -At -c 'SELECT version()')" \
		"$(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(date -u +%F)" \
		"$@" \
		"$(sql -At -c "SELECT string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY name) FROM pg_settings
			WHERE name IN ('autovacuum', 'autovacuum_naptime', 'block_size', 'checkpoint_timeout', 'data_checksums', 'debug_assertions',
				'fsync', 'full_page_writes', 'jit', 'maintenance_work_mem', 'max_parallel_maintenance_workers', 'max_wal_size',
				'shared_buffers', 'synchronous_commit', 'wal_level')")"; do
		printf -- '- %s\n' "$line"
	done
}
