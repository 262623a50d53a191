package acs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gatehouse/lab/rooms"
)

// Every envelope of the ACS is valid by the schemas of the Broadband Forum,
// where those and xmllint are at hand.
func TestSchema(t *testing.T) {
	spec := os.Getenv("SPEC")
	if spec == "" {
		spec = "../../../shared/spec"
	} else if !filepath.IsAbs(spec) {
		spec = filepath.Join("../..", spec)
	}
	schema := filepath.Join(spec, "xsd", "all-1-2.xsd")
	if _, err := os.Stat(schema); err != nil {
		t.Skip("the schemas are not at hand:", err)
	}
	rooms.Need(t, "xmllint")
	notification, access := 2, []string{"Subscriber"}
	h := header{namespace: nsCWMP + "2", id: "1"}
	dir := t.TempDir()
	var files []string
	for name, body := range map[string]string{
		"InformResponse":           call("InformResponse", el("MaxEnvelopes", "1")),
		"TransferCompleteResponse": call("TransferCompleteResponse", ""),
		"GetRPCMethodsResponse":    call("GetRPCMethodsResponse", stringArray("MethodList", acsMethods)),
		"Fault":                    faultBody(Fault{Code: 8005}),
		"GetRPCMethods":            call("GetRPCMethods", ""),
		"GetParameterNames":        call("GetParameterNames", el("ParameterPath", "Device.")+el("NextLevel", "0")),
		"GetParameterValues":       call("GetParameterValues", stringArray("ParameterNames", []string{"Device.", "a&<b"})),
		"SetParameterValues":       call("SetParameterValues", setValuesArgs("k", []Parameter{P("Device.A", "xsd:int", "1")})),
		"GetParameterAttributes":   call("GetParameterAttributes", stringArray("ParameterNames", []string{"Device."})),
		"SetParameterAttributes": call("SetParameterAttributes", setAttributesArgs([]SetAttribute{
			Notify("Device.A", 2), {Name: "Device.B", Notification: &notification, AccessList: &access}})),
		"AddObject":    call("AddObject", el("ObjectName", "Device.A.")+el("ParameterKey", "")),
		"DeleteObject": call("DeleteObject", el("ObjectName", "Device.A.1.")+el("ParameterKey", "")),
		"Download":     call("Download", downloadArgs(Download{FileType: "1 Firmware Upgrade Image", URL: "http://x/"})),
		"Upload":       call("Upload", uploadArgs(Upload{FileType: "3 Vendor Configuration File 1", URL: "http://x/"})),
		"Reboot":       call("Reboot", el("CommandKey", "")),
		"FactoryReset": call("FactoryReset", ""),
		"Schedule":     call("ScheduleInform", el("DelaySeconds", "1")+el("CommandKey", "")),
	} {
		file := filepath.Join(dir, name+".xml")
		if err := os.WriteFile(file, []byte(envelope(h, body)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	out, err := exec.Command("xmllint", append([]string{"--noout", "--nonet", "--schema", schema}, files...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
