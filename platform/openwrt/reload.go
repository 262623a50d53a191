package openwrt

import "time"

// settle is longer than the second that procd waits.
const settle = 1500 * time.Millisecond
