package linuxconf

var networkd = daemon{"systemd-networkd", "org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager"}

const networkdUnit = "systemd-networkd.service"
