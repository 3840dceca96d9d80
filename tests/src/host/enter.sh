# Runs a command on a host, as one of its own processes.
# $1 pid of its init  $2 directory of the cgroup to join  $3 v1 cgroup of the pids controller, or empty
# $4 options of setsid  then the command
set -eu
init=$1 cgroup=$2 pids=$3 setsid=$4
shift 4
# Within the host's subtree: trixie's logind refuses callers that are outside it. And bounded like the rest.
echo 0 > "$cgroup/cgroup.procs"
if [ -n "$pids" ]; then echo 0 > "$pids/cgroup.procs"; fi
echo 4294967295 > /proc/self/loginuid 2>/dev/null || :
# A session leader whose ids exist inside; $setsid is empty or --ctty.
exec nsenter --target "$init" --all -- setsid $setsid "$@"
