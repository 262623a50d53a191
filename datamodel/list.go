package datamodel

// Lists as TR-106 3.2.3 writes them: items between commas; a comma or percent
// sign inside an item, and a blank at its ends, is percent-encoded.

import "strings"

const hexDigits = "0123456789ABCDEF"

func joinList(items []string) string {
	if len(items) == 1 && !strings.ContainsAny(items[0], ",% \t\r\n") {
		return items[0]
	}
	var b strings.Builder
	for i, s := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		for j := range len(s) {
			c := s[j]
			blank := c == ' ' || c == '\t' || c == '\r' || c == '\n'
			if c == ',' || c == '%' || blank && (j == 0 || j == len(s)-1) {
				b.WriteByte('%')
				b.WriteByte(hexDigits[c>>4])
				b.WriteByte(hexDigits[c&15])
				continue
			}
			b.WriteByte(c)
		}
	}
	return b.String()
}

// splitList is lenient: blanks around items do not count, and a percent sign
// that begins no escape stands for itself.
func splitList(text string) []string {
	if strings.Trim(text, " \t\r\n") == "" {
		return nil
	}
	var items []string
	for s := range strings.SplitSeq(text, ",") {
		items = append(items, unescape(strings.Trim(s, " \t\r\n")))
	}
	return items
}

func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
