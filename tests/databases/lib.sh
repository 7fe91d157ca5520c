# For the tests of databases, which source it: TAP, the daemon's end, and a PostgreSQL of their own. $build and $mount are set before.
#
# The server runs as nobody, listens only at a socket in a folder of its own, and has process and IPC name spaces of its own, so that kill -9 ends
# it as a whole and nothing of it is left. The machine's own cluster, if it has one, is not touched.

number=0 failed=0
check() { # check DESCRIPTION COMMAND...: one test, with what the command says if it fails
	local description=$1
	shift
	number=$((number + 1))
	if "$@" >"$work/said" 2>&1; then
		echo "ok $number - $description"
	else
		failed=1
		tail -n 20 "$work/said" | sed 's/^/# /'
		echo "not ok $number - $description"
	fi
}
skip_all() { echo "1..0 # SKIP $1"; exit 0; }
bail() { # what the rest cannot do without is not there
	[ ! -s "$work/log" ] || tail -n 20 "$work/log" | sed 's/^/# /'
	echo "not ok $((number + 1)) - $1"
	echo "1..$((number + 1))"
	exit 1
}

daemon_pid() { "$build/mount-tools/dios" --mount "$mount" status --json | sed -n 's/.*"daemon_pid": *\([0-9]*\).*/\1/p'; }
kill_daemon() { # and comes back when the next one answers
	local before
	before=$(daemon_pid) && [ -n "$before" ] && kill -9 "$before" || return 1
	[ "$(daemon_pid)" != "$before" ]
}
# Some moment: nothing may depend on which.
moment() { sleep "$1.$((RANDOM % 900 + 100))"; }

bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
have_postgres() { [ -x "$bin/postgres" ] && [ -x "$bin/pgbench" ]; }
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs -- env HOME=/nonexistent LC_ALL=C "$@"; }
sql() { as_nobody "$bin/psql" -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -h "$work/socket" -U postgres "$@"; }

server=
postgres_folders() { # for what is private to the server: socket and files that are not its data
	chmod 755 "$work"
	install -d -o 65534 -g 65534 -m 700 "$work/socket" "$work/nobody"
}
postgres_init() {
	install -d -o 65534 -g 65534 -m 700 "$1"
	as_nobody "$bin/initdb" -D "$1" -U postgres -A trust -k -E UTF8 --locale=C --no-instructions >"$work/log" 2>&1
}
postgres_process() { cat "/proc/$server/task/$server/children"; }
postgres_start() { # postgres_start DATA [OPTION...]: returns when it answers, after its recovery
	local data=$1 i
	shift
	unshare --pid --ipc --fork --kill-child setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs -- env LC_ALL=C "$bin/postgres" -D "$data" \
		-c listen_addresses= -c "unix_socket_directories=$work/socket" -c dynamic_shared_memory_type=mmap "$@" >>"$work/log" 2>&1 </dev/null &
	server=$!
	for i in $(seq 1200); do
		as_nobody "$bin/pg_isready" -q -h "$work/socket" -U postgres && return 0
		kill -0 $server 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}
postgres_signal() { kill "-$1" $(postgres_process) && { wait $server; server=; }; }
postgres_kill() { postgres_signal KILL; true; }
postgres_stop() { # an orderly end
	local ended
	kill -INT $(postgres_process) || return 1
	wait $server
	ended=$?
	server=
	return $ended
}
