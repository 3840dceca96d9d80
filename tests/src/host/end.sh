# Kills whatever runs on a host and removes its cgroups, also those of a host whose test process died.
# $1 name  $2 its directory  $3 v1 cgroup of the pids controller, or empty
set -eu
name=$1 dir=$2 pids=$3
mkdir -p "$dir/cgroup"
mount -t cgroup2 none "$dir/cgroup"
cgroup=$dir/cgroup/$name
if [ -d "$cgroup" ]; then
    echo 1 > "$cgroup/cgroup.kill"
    tries=0
    until grep -q '^populated 0$' "$cgroup/cgroup.events"; do
        tries=$((tries + 1))
        if [ $tries -gt 1000 ]; then echo "processes of $name do not die" >&2; exit 1; fi
        sleep 0.01
    done
    find "$cgroup" -depth -type d -exec rmdir {} +
fi
if [ -n "$pids" ] && [ -d "$pids" ]; then rmdir "$pids"; fi
