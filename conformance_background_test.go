package gatehouse_test

// background says of founding behaviours that no test names why they ask
// nothing of a device's agent.
var background = map[string]string{
	"S001-01": "how an operator lays out its servers; the agent verifies the certificate of whichever answers",
	"S001-03": "which certificate stands where is the operator's; the public name is what the agent verifies",
	"S001-04": "between an operator and its directory of customers",
	"S001-05": "between an operator and its directory of customers",
	"S001-06": "patches of a server",
	"S001-07": "languages of pages and letters; the agent speaks to no customer",
	"S001-08": "templates of a server; the agent gets what was made of them",
	"S001-09": "how a person signs in at the server; no person is here, and Basic is off unless it is allowed",
	"S001-10": "how a person gets a token in a browser; the agent is given one in a file (S001-19)",
	"S001-12": "a default of the operator's directory",
	"S001-27": "a list of addresses for the operator's firewall",
	"S003-03": "of a proxy that forwards for others, by headers; the agent forwards for nobody and reads no such header",
	"S003-04": "as S003-03",
	"S003-06": "as S003-03",
	"S003-07": "as S003-03",
	"S003-08": "as S003-03; the text breaks off",
	"S003-10": "routing of a proxy; the agent's requests go where its settings say",
	"S003-13": "as S003-10; rights are those of the agent's own doors",
	"S003-18": "as S003-03",
	"S003-19": "as S003-03",
	"S003-28": "as S003-03",
	"S003-29": "as S003-03",
	"S003-30": "as S003-03",
	"S003-37": "as S003-03: nobody stands before the agent's listener",
	"S003-38": "as S003-03",
	"S003-39": "a title without a text",
}
