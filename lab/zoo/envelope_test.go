package zoo

import (
	"strings"
	"testing"

	"gatehouse/lab/acs"
)

func envelopes() []exhibit {
	return []exhibit{
		{10, "easycwmp_120_prefix_soapenv", copes(plan{chaos: "prefix=soapenv"})},
		{10, "easycwmp_333_prefix_of_its_own", copes(plan{chaos: "prefix=SOAP-ENV,no-types"})},
		{10, "default_namespace", copes(plan{chaos: "prefix=none"})},
		{10, "missing_id", copes(plan{chaos: "no-id", quiet: []acs.Rule{acs.RuleSOAP}})},
		{10, "missing_header", copes(plan{chaos: "no-header", quiet: []acs.Rule{acs.RuleSOAP}})},
		{10, "xml_declaration_over_several_lines", copes(plan{chaos: "declaration=long"})},
		{10, "no_xml_declaration", copes(plan{chaos: "declaration=none"})},
		{10, "comments_everywhere", copes(plan{chaos: "comments"})},
		{10, "cdata", copes(plan{chaos: "cdata"})},
		{10, "byte_order_mark", copes(plan{chaos: "bom"})},
		{10, "white_space_around_the_envelope", copes(plan{chaos: "space"})},
		{10, "trailing_nul", copes(plan{chaos: "nul"})},
		{10, "freeacs_blanks_around_names", copes(plan{chaos: "indent"})},
		{10, "all_of_it", copes(plan{chaos: "prefix=S,bom,cdata,indent,nul,no-types,chunked=100,coding=gzip,nothing=202"})},
		{10, "genieacs_cwmp_1_3_namespace", copes(plan{chaos: "namespace=urn:dslforum-org:cwmp-1-3"})},
		{10, "namespace_1_0", copes(plan{chaos: "namespace=urn:dslforum-org:cwmp-1-0"})},
		{10, "hold_requests_in_the_first_answer", copes(plan{chaos: "hold"})},
		{10, "genieacs_soap_env_body_fault", brokenFault},
		{19, "wrong_response_to_the_inform", brokenOff("say=TransferCompleteResponse,times=2")},
		{19, "request_instead_of_the_inform_response", brokenOff("say=GetRPCMethods,times=2")},
		{19, "response_that_nobody_asked_for", brokenOff("empty.say=InformResponse,empty.times=2")},
		{19, "freeacs_289_response_after_an_answer", brokenOff("answer.say=AutonomousTransferCompleteResponse,answer.times=2")},
		{11, "easycwmp_305_white_space_in_values_and_keys", whiteSpace("")},
		{11, "white_space_in_cdata", whiteSpace("cdata")},
		{11, "icwmp_2020_command_key_with_spaces", commandKeys},
		{26, "icwmp_set_parameter_attributes_with_empty_notification", emptyNotification},
	}
}

// brokenFault: an answer that is not XML ends the session and is no storm.
func brokenFault(t *testing.T) {
	brokenOff("fault=8001,times=2,broken-fault")(t)
}

// odd is a value that loses something wherever white space is trimmed, folded,
// or normalised as attributes are.
const odd = "  a  b\t"

// whiteSpace: what is set is what is read, to the last blank, over a restart.
func whiteSpace(chaos string) func(t *testing.T) {
	return func(t *testing.T) {
		story(t, plan{chaos: chaos}, func(t *testing.T, h *house) {
			const code = di + "ProvisioningCode"
			texts := []string{odd, "\t", " ", "&lt;&amp;]]><![CDATA[x]]>'\"", "ä\u0085\u2028\u00a0€"}
			if chaos == "" {
				texts = append(texts, "a\r\nb\nc\rd") // in CDATA a reader must make this into line feeds
			}
			h.start()
			h.good(1)
			for _, text := range texts {
				s := h.talk(func(c *acs.Conversation) error {
					_, err := c.SetParameterValues(odd, acs.P(code, "xsd:string", text))
					if err != nil {
						return err
					}
					v, err := c.GetParameterValues(code, ms+"ParameterKey")
					if got, _ := v.Get(code); got != text {
						t.Errorf("%q is read as %q", text, got)
					}
					if got, _ := v.Get(ms + "ParameterKey"); got != odd {
						t.Errorf("ParameterKey %q", got)
					}
					return err
				})
				_ = s
			}
			h.boot()
			s := h.good(len(texts) + 2)
			if got, _ := s.Inform.Parameters.Get(code); got != texts[len(texts)-1] {
				t.Errorf("after a restart: %q", got)
			}
			if got, _ := s.Inform.Parameters.Get(ms + "ParameterKey"); got != odd {
				t.Errorf("ParameterKey after a restart: %q", got)
			}
		})
	}
}

// commandKeys: the key of a Reboot and of a ScheduleInform come back as they were.
func commandKeys(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.router.OnReboot(func(bool) {})
		h.acs.Queue("", func(c *acs.Conversation) error {
			if err := c.ScheduleInform(60, odd); err != nil {
				return err
			}
			return c.Reboot(odd)
		})
		h.start()
		h.good(1)
		h.boot()
		h.wantEvents(h.good(2), "1 BOOT", "M Reboot ["+odd+"]")
		h.wantEvents(h.good(3), "3 SCHEDULED", "M ScheduleInform ["+odd+"]")
	})
}

// emptyNotification is how GenieACS leaves a notification unchanged.
func emptyNotification(t *testing.T) {
	story(t, plan{}, func(t *testing.T, h *house) {
		h.start()
		h.good(1)
		h.talk(func(c *acs.Conversation) error {
			args := `<ParameterList soap-enc:arrayType="cwmp:SetParameterAttributesStruct[1]"><SetParameterAttributesStruct>` +
				`<Name>` + di + `UpTime</Name><NotificationChange>0</NotificationChange><Notification></Notification>` +
				`<AccessListChange>0</AccessListChange><AccessList></AccessList></SetParameterAttributesStruct></ParameterList>`
			n, err := c.Call("SetParameterAttributes", args)
			if err != nil || !strings.HasSuffix(n.Local, "Response") {
				t.Errorf("%v, %v", n, err)
			}
			return nil
		})
	})
}
