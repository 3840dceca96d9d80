# Turns a bare Debian root file system into a host with people on it; runs as root inside it.
# $1 is the host's name.
set -eu
export PATH=/usr/sbin:/usr/bin:/sbin:/bin

echo "$1" > /etc/hostname
printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$1" > /etc/hosts

useradd --create-home --user-group --shell /bin/bash --uid 1000 alice
useradd --create-home --user-group --shell /bin/bash --uid 1001 bob
useradd --create-home --user-group --shell /bin/bash --uid 1002 --groups sudo carol
for user in root alice bob carol; do
    echo "$user:$user-secret-7"
done | chpasswd

cat > /etc/sudoers.d/people <<'END'
alice ALL=(ALL:ALL) NOPASSWD: ALL
bob ALL=(alice) NOPASSWD: ALL
END
chmod 0440 /etc/sudoers.d/people

# Keys: one of root's that opens every account, and one of their own for alice and bob.
make_key() { # account home
    install -d -m 0700 -o "$1" -g "$1" "$2/.ssh"
    ssh-keygen -q -t ed25519 -N '' -C "$1" -f "$2/.ssh/id_ed25519"
    chown "$1:$1" "$2/.ssh/id_ed25519" "$2/.ssh/id_ed25519.pub"
}
make_key root /root
make_key alice /home/alice
make_key bob /home/bob
for user in alice bob carol; do
    ssh=/home/$user/.ssh
    install -d -m 0700 -o "$user" -g "$user" "$ssh"
    cat /root/.ssh/id_ed25519.pub > "$ssh/authorized_keys"
    if [ -e "$ssh/id_ed25519.pub" ]; then cat "$ssh/id_ed25519.pub" >> "$ssh/authorized_keys"; fi
    chown "$user:$user" "$ssh/authorized_keys"
    chmod 0600 "$ssh/authorized_keys"
done
cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys

# Known host keys, so that ssh says nothing of its own: what it prints is what the server said.
printf '* %s\n' "$(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)" > /etc/ssh/ssh_known_hosts
cat > /etc/ssh/ssh_config.d/host.conf <<'END'
Host *
    StrictHostKeyChecking no
    HostKeyAlgorithms ssh-ed25519
END
echo 'PermitRootLogin prohibit-password' > /etc/ssh/sshd_config.d/root.conf

# Newer sshds stop listening to an address that failed often, and the tests all come from one.
if [ -e /usr/lib/openssh/sshd-session ]; then
    echo 'PerSourcePenalties no' > /etc/ssh/sshd_config.d/penalties.conf
fi

# What ssh runs to be given a password (SSH_ASKPASS).
cat > /usr/local/bin/answer-password <<'END'
#!/bin/sh
printf '%s\n' "$ANSWER_PASSWORD"
END
chmod 0755 /usr/local/bin/answer-password

# Containers of ordinary users, where root's file system is an overlay and the kernel's keyrings are not to be had.
printf '[storage]\ndriver = "vfs"\n' > /etc/containers/storage.conf
printf '[containers]\nkeyring = false\n' > /etc/containers/containers.conf
systemctl mask --quiet podman.service podman.socket podman-auto-update.timer podman-auto-update.service \
    podman-restart.service
systemctl --global mask --quiet podman.service podman.socket podman-auto-update.timer podman-auto-update.service \
    podman-restart.service

# Faster to boot, and quiet while it runs.
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    fstrim.timer e2scrub_all.timer e2scrub_reap.service systemd-tmpfiles-clean.timer
rm -f /etc/machine-id
systemd-machine-id-setup --commit >/dev/null 2>&1 || systemd-machine-id-setup >/dev/null
# Where systemd has work to do at the first boot after an update of /usr, say that it is done.
if [ -x /lib/systemd/systemd-update-done ]; then /lib/systemd/systemd-update-done; fi
