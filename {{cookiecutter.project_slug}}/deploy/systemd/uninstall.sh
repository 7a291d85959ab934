#!/bin/sh
# Remove what install.sh has installed. --purge also removes settings, data and the user.
set -eu
slug={{ cookiecutter.project_slug }}
user={{ cookiecutter.project_slug[:31] }}
units=/etc/systemd/system

if [ "$(id -u)" != 0 ]; then
    echo "uninstall.sh: user $(id -un) may not remove units: run it as root" >&2
    exit 1
fi
if [ $# -gt 1 ] || [ "${1:---purge}" != --purge ]; then
    echo "uninstall.sh: '$*' is not known: use --purge, or no argument" >&2
    exit 1
fi

if [ -e "$units/$slug.target" ]; then
    echo "Stopping $slug.target; running tasks may take up to {{ cookiecutter._time_budget.shutdown_grace }} s"
    systemctl --quiet disable --now "$slug.target"
fi
rm -f "$units/$slug.target" "$units/$slug-worker@.service" "$units/$slug-worker@"*.service.d/fleet.conf \
    "$units/$slug-beat.service" "$units/$slug-exporter.service" "$units/$slug-flower.service" \
    "$units/$slug-web.service" \
    "$units/$slug-watch.service" "$units/$slug-watch.timer" \
    "/etc/sysusers.d/$slug.conf" "/etc/tmpfiles.d/$slug.conf"
# Keep a folder that holds drop-ins of your own.
rmdir --ignore-fail-on-non-empty "$units/$slug-worker@"*.service.d 2>/dev/null || true
rm -rf "/run/$slug"
systemctl daemon-reload
systemctl reset-failed "$slug-worker@*" "$slug-beat.service" "$slug-exporter.service" "$slug-flower.service" \
    "$slug-web.service" 2>/dev/null || true
if [ "${1:-}" = --purge ]; then
    rm -rf "/etc/${slug:?}" "/var/lib/$slug"
    if id -u "$user" >/dev/null 2>&1; then
        userdel "$user"
    fi
    echo "Removed the units, /etc/$slug, /var/lib/$slug and user $user"
else
    echo "Removed the units; /etc/$slug, /var/lib/$slug and user $user were kept (--purge removes them)"
fi
