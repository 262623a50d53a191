//go:build race

package bus_test

// aMillion is fewer where the race detector makes a vendor take twenty seconds
// for them.
const aMillion = 100_000
