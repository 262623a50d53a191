package uciconf

// Passwords as crypt(3) keeps them: "$5$salt$hash", Ulrich Drepper's SHA-crypt
// with SHA-256 and 5000 rounds, which musl and glibc know.

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
)

const cryptLetters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// maxPassword bounds what is hashed 5000 times.
const maxPassword = 256

func hashPassword(password string) (string, error) {
	if len(password) > maxPassword {
		return "", errors.New("password is too long")
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	for i := range salt {
		salt[i] = cryptLetters[salt[i]&63]
	}
	return sha256Crypt(password, string(salt)), nil
}

// sha256Crypt is the algorithm of https://www.akkadia.org/drepper/SHA-crypt.txt;
// the numbers are those of its steps.
func sha256Crypt(password, salt string) string {
	b := sha256.Sum256([]byte(password + salt + password)) // 4-8
	text := append([]byte(password+salt), stretch(b[:], len(password))...)
	for n := len(password); n > 0; n >>= 1 { // 11
		if n&1 != 0 {
			text = append(text, b[:]...)
		} else {
			text = append(text, password...)
		}
	}
	a := sha256.Sum256(text) // 12
	var many []byte
	for range len(password) { // 13-15
		many = append(many, password...)
	}
	dp := sha256.Sum256(many)
	p := stretch(dp[:], len(password)) // 16
	many = nil
	for range 16 + int(a[0]) { // 17-19
		many = append(many, salt...)
	}
	ds := sha256.Sum256(many)
	s := stretch(ds[:], len(salt)) // 20
	for i := range 5000 {          // 21
		text = text[:0]
		if i&1 != 0 {
			text = append(text, p...)
		} else {
			text = append(text, a[:]...)
		}
		if i%3 != 0 {
			text = append(text, s...)
		}
		if i%7 != 0 {
			text = append(text, p...)
		}
		if i&1 != 0 {
			text = append(text, a[:]...)
		} else {
			text = append(text, p...)
		}
		a = sha256.Sum256(text)
	}
	return "$5$" + salt + "$" + cryptText(a)
}

// stretch repeats a digest to n bytes.
func stretch(digest []byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = digest[i%len(digest)]
	}
	return out
}

// cryptText writes a digest, three bytes in four letters, in the order of step
// 22e.
func cryptText(d [32]byte) string {
	var out []byte
	put := func(a, b, c byte, n int) {
		w := uint(a)<<16 | uint(b)<<8 | uint(c)
		for range n {
			out = append(out, cryptLetters[w&63])
			w >>= 6
		}
	}
	i, j, k := 0, 10, 20
	for range 10 {
		put(d[i], d[j], d[k], 4)
		i, j, k = k+1, i+1, j+1
	}
	put(0, d[31], d[30], 3)
	return string(out)
}
