// Thermometers: the thermal zones of the kernel, and hwmon chips that are not
// the same thermometer once more.

package linux

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse/platform"
)

type sensors struct{ paths paths }

// Sensors yields each thermometer; one that does not answer has OK false.
func (s sensors) Sensors(ctx context.Context) iter.Seq2[platform.Sensor, error] {
	return func(yield func(platform.Sensor, error) bool) {
		for _, dir := range numbered(s.paths.thermal, "thermal_zone*") {
			row := platform.Sensor{ID: filepath.Base(dir), Name: word(filepath.Join(dir, "type"))}
			if row.Name == "" {
				row.Name = row.ID
			}
			row.Celsius, row.OK = temperature(filepath.Join(dir, "temp"))
			if ctx.Err() != nil || !yield(row, nil) {
				return
			}
		}
		seen := map[string]int{}
		for _, dir := range numbered(s.paths.hwmon, "hwmon*") {
			if of, err := os.Readlink(filepath.Join(dir, "device")); err == nil && strings.HasPrefix(filepath.Base(of), "thermal_zone") {
				continue // told above
			}
			chip := word(filepath.Join(dir, "name"))
			if chip == "" {
				chip = filepath.Base(dir)
			}
			if seen[chip]++; seen[chip] > 1 {
				chip = fmt.Sprintf("%s.%d", chip, seen[chip])
			}
			for _, input := range numbered(dir, "temp*_input") {
				channel := strings.TrimSuffix(filepath.Base(input), "_input")
				row := platform.Sensor{ID: "hwmon/" + chip + "/" + channel, Name: word(filepath.Join(dir, channel+"_label"))}
				if row.Name == "" {
					row.Name = chip + " " + channel
				}
				row.Celsius, row.OK = temperature(input)
				if ctx.Err() != nil || !yield(row, nil) {
					return
				}
			}
		}
	}
}

// numbered lists the files of a pattern by the number in their name, so that
// 10 comes after 9.
func numbered(dir, pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, pattern))
	number := func(p string) int {
		n, _ := strconv.Atoi(strings.Trim(filepath.Base(p), "abcdefghijklmnopqrstuvwxyz_"))
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return number(a) - number(b) })
	return found
}

// word reads a short text, or nothing.
func word(name string) string {
	b, err := readFile(name, 256)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(strings.TrimRight(string(b), "\x00\n "), "?"))
}

// temperature reads thousandths of a degree.
func temperature(name string) (celsius int32, ok bool) {
	n, err := strconv.ParseInt(word(name), 10, 32)
	if err != nil || n < -273_150 || n > 1_000_000 {
		return 0, false
	}
	if n < 0 {
		return int32((n - 500) / 1000), true
	}
	return int32((n + 500) / 1000), true
}
