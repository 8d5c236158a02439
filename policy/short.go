package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// Short forms are policies that are written for the caller, as text, and loaded
// as any other. There is no second code path.

// From is the policy that --from github.com/OWNER/REPO@REF stands for: SLSA
// provenance of that repository at that ref, by a workflow of its own.
func From(repositoryAtRef string) string {
	return "policy: v1\nrequire:\n  - id: build\n    provenance: {from: " + strconv.Quote(repositoryAtRef) + "}\n"
}

// Identity is the policy that --certificate-identity and
// --certificate-oidc-issuer stand for: any signature or attestation about the
// artifact by exactly that subject of that issuer. An identity with @ and no
// scheme is an e-mail address.
func Identity(subject, issuer string) string {
	form := fmt.Sprintf("oidc: {issuer: %s, subject: %s}", strconv.Quote(issuer), strconv.Quote(subject))
	if strings.Contains(subject, "@") && !strings.Contains(subject, "://") {
		form = fmt.Sprintf("email: {issuer: %s, address: %s}", strconv.Quote(issuer), strconv.Quote(subject))
	}
	return "policy: v1\nsigners:\n  signer: {" + form + "}\nrequire:\n  - id: signature\n    signature: {by: signer, content: any}\n"
}

// Key is the policy that --key stands for: any signature or attestation about
// the artifact by that public key (PEM). With logged, the log and the
// timestamps that the trust root prescribes are required; without, the key
// alone is trusted, and the decision says so.
func Key(pem string, logged bool) string {
	var b strings.Builder
	b.WriteString("policy: v1\n")
	trust := ""
	if !logged {
		b.WriteString("trust:\n  key-only: {log: none, timestamps: none}\n")
		trust = "    trust: key-only\n"
	}
	b.WriteString("signers:\n  key:\n" + trust + "    key:\n      pem: |\n")
	for line := range strings.Lines(pem) {
		b.WriteString("        " + strings.TrimRight(line, "\r\n") + "\n")
	}
	b.WriteString("require:\n  - id: signature\n    signature: {by: key, content: any}\n")
	return b.String()
}
