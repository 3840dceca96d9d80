# Boots a host in a mount namespace of its own, so that no mount outlives it.
# $1 name  $2 its directory  $3 lower directories  $4 v1 cgroup of the pids controller, or empty  $5 limit of pids
set -eu
name=$1 dir=$2 lower=$3 pids=$4 limit=$5

# A machine where an administrator logged in to run the tests would pass their login uid on to the
# host's init, and through it to every process of the host. Not every kernel lets it be unset.
echo 4294967295 > /proc/self/loginuid 2>/dev/null || :

if [ -n "$pids" ]; then
    mkdir "$pids"
    echo "$limit" > "$pids/pids.max"
    echo $$ > "$pids/cgroup.procs"
fi
if mountpoint -q /sys/fs/cgroup; then
    umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
fi
mount -t cgroup2 none /sys/fs/cgroup
cgroup=/sys/fs/cgroup/$name
if [ -z "$pids" ]; then echo +pids > /sys/fs/cgroup/cgroup.subtree_control; fi
# A subtree of its own: with --keep-unit, hosts that start in one cgroup would share it.
mkdir "$cgroup"
if [ -z "$pids" ]; then echo "$limit" > "$cgroup/pids.max"; fi
echo $$ > "$cgroup/cgroup.procs"

mkdir -p "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
exec systemd-nspawn --directory="$dir/root" --boot --quiet --machine="$name" --settings=no \
    --register=no --keep-unit --private-network --console=passive \
    --link-journal=no --timezone=off --resolv-conf=off
