package systembus

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"

	"github.com/godbus/dbus/v5"
)

// pipeEnd reads from a buffer.
type pipeEnd struct{ *bytes.Reader }

func (pipeEnd) Write(p []byte) (int, error) { return len(p), nil }
func (pipeEnd) Close() error                { return nil }

func over(raw []byte) *bounded {
	b := &bounded{raw: pipeEnd{bytes.NewReader(raw)}}
	b.binary.Store(true)
	return b
}

func message(t testing.TB, order binary.ByteOrder, body ...any) []byte {
	t.Helper()
	m := &dbus.Message{Type: dbus.TypeMethodCall, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath: dbus.MakeVariant(dbus.ObjectPath("/org/example")), dbus.FieldMember: dbus.MakeVariant("GetValues"), dbus.FieldSender: dbus.MakeVariant(":1.7"),
		dbus.FieldInterface: dbus.MakeVariant("org.example.Model"), dbus.FieldReplySerial: dbus.MakeVariant(uint32(3)),
	}}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	var b bytes.Buffer
	if err := m.EncodeTo(&b, order); err != nil {
		t.Fatal(err)
	}
	raw := b.Bytes()
	order.PutUint32(raw[8:], 42) // its serial, which the library sets elsewhere
	return raw
}

// TestBounded: what is too long arrives without its body, what follows it as it
// is.
func TestBounded(t *testing.T) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		small, huge := message(t, order, "small"), message(t, order, make([]byte, MaxBody))
		b := over(bytes.Join([][]byte{small, huge, small, message(t, order)}, nil))
		for i, want := range []int{1, 0, 1, 0} {
			m, err := dbus.DecodeMessage(b)
			if err != nil {
				t.Fatal(i, err)
			}
			if len(m.Body) != want || m.Headers[dbus.FieldSender].Value() != ":1.7" || m.Headers[dbus.FieldMember].Value() != "GetValues" {
				t.Errorf("%d: %v %v", i, m.Headers, len(m.Body))
			}
		}
		if _, err := b.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	}
}

// FuzzBounded: whatever the other side sends, no more is passed on than the
// bound, and nothing is waited for that is not announced.
func FuzzBounded(f *testing.F) {
	f.Add(message(f, binary.LittleEndian, "small"))
	f.Add(message(f, binary.BigEndian, map[string]dbus.Variant{"a": dbus.MakeVariant(1)}))
	huge := message(f, binary.LittleEndian, make([]byte, MaxBody))
	f.Add(huge[:200])
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, err := io.Copy(io.Discard, over(raw))
		if err == nil && n > int64(len(raw)) {
			t.Errorf("%d bytes of %d", n, len(raw))
		}
		b := over(raw)
		for range 10 {
			if _, err := dbus.DecodeMessage(b); err != nil {
				return
			}
		}
	})
}
