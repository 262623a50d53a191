package digest

// Basic authentication (RFC 7617).

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
)

// errColon says that Basic cannot carry a user name.
var errColon = errors.New("a user name with a colon cannot be sent by Basic authentication")

// Basic returns the value of an Authorization header. The bytes go out as they
// are, which is UTF-8 for what comes from our configuration.
func Basic(username, password string) (string, error) {
	if strings.ContainsRune(username, ':') {
		return "", errColon
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)), nil
}

// equal compares two texts in a time that depends on neither of them, only on
// their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
