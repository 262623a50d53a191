package acs

import "testing"

// Whoever follows the story live wants to know that a transfer failed.
func TestTellsHowATransferWent(t *testing.T) {
	for code, want := range map[string]string{
		"0":    "TransferComplete CommandKey=k",
		"9015": "TransferComplete CommandKey=k fault 9015 cannot connect",
	} {
		text := ""
		if code != "0" {
			text = "cannot connect"
		}
		m, err := readMessage([]byte(soap("1", "<cwmp:TransferComplete><CommandKey>k</CommandKey><FaultStruct><FaultCode>"+code+
			"</FaultCode><FaultString>"+text+"</FaultString></FaultStruct></cwmp:TransferComplete>")))
		if err != nil {
			t.Fatal(err)
		}
		if got := summarize(m); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
