#!/bin/sh
# Install or update the units for /opt/{{ cookiecutter.project_slug }}; it is safe to run this again.
set -eu
slug={{ cookiecutter.project_slug }}
folder=/opt/$slug
units=/etc/systemd/system
here=$(dirname "$(readlink -f "$0")")

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

[ "$(id -u)" = 0 ] || fail "user $(id -un) may not install units: run it as root"
[ "$here" = "$folder/deploy/systemd" ] || fail "this script is in $here, but the units run $folder: move the project to $folder"
[ -x "$folder/.venv/bin/celery" ] || fail "$folder/.venv/bin/celery is missing: install the project, as docs/deploy.md says"
python=$(readlink -f "$folder/.venv/bin/python")
case $python in
/home/* | /root/*) fail "the units cannot reach $python: create $folder/.venv with a Python outside of /home and /root" ;;
esac

install -D -m 644 "$here/sysusers.conf" "/etc/sysusers.d/$slug.conf"
install -D -m 644 "$here/tmpfiles.conf" "/etc/tmpfiles.d/$slug.conf"
systemd-sysusers "$slug.conf"
systemd-tmpfiles --create "$slug.conf"

for old in "$units/$slug-worker@"*.service.d/fleet.conf; do
    name=${old#"$units/$slug-worker@"}
    name=${name%.service.d/fleet.conf}
    if [ -e "$old" ] && [ ! -e "$here/workers/$name.conf" ]; then
        systemctl stop "$slug-worker@$name.service"
        rm "$old"
        echo "Removed $slug-worker@$name.service"
    fi
done
for unit in "$here/$slug"*.service "$here/$slug"*.target "$here/$slug"*.timer; do
    install -m 644 "$unit" "$units"
done
for worker in "$here"/workers/*.conf; do
    install -D -m 644 "$worker" "$units/$slug-worker@$(basename "$worker" .conf).service.d/fleet.conf"
done
systemctl daemon-reload
systemctl --quiet enable "$slug.target"
echo "Installed $slug.target, which starts when the machine boots"

if grep -Eq '^CELERY_BROKER_(READ_)?URL(_FILE)?=.' "/etc/$slug/env"; then
    systemctl start "$slug.target"
    echo "Started $slug.target; after a change, run: systemctl restart $slug.target"
else
    echo "Not started yet: fill in /etc/$slug/env, then run: systemctl start $slug.target"
fi
