package policy

import (
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// cosignSignature is the predicate type by which cosign signs an image.
const cosignSignature = "https://sigstore.dev/cosign/sign/v1"

// decodeSignature compiles a rule that asks for a signature over the artifact
// itself. An attestation is no signature: a signed "test failed" is not an
// approval. It counts only under content: any, which has to be written.
func decodeSignature(l *loader, o *object, r *rule) judge {
	l.by(o, r)
	message, cosign, everything := true, true, false
	if n := o.field("content"); n != nil && n.kind == scalarNode {
		if text, ok := o.text("content"); ok && text == "any" {
			everything = true
			r.relax = append(r.relax, "content: any takes an attestation about the artifact for a signature, whatever it says")
		} else if ok {
			l.errorf(n, join(o.path, "content"), "%.64q, want any, or a list of message and cosign", text)
		}
	} else if n != nil {
		message, cosign = false, false
		for _, item := range o.list("content") {
			switch text, _ := l.text(item, join(o.path, "content")); text {
			case "message":
				message = true
			case "cosign":
				cosign = true
			default:
				l.errorf(item, join(o.path, "content"), "%.64q, want message or cosign", text)
			}
		}
	}
	value := "any"
	if !everything {
		var contents []string
		if message {
			contents = append(contents, "message")
		}
		if cosign {
			contents = append(contents, "cosign")
		}
		value = quoteList(contents)
	}
	r.fields = append(r.fields, field{name: "content", value: value})

	wants := func(e evidence.Evidence) bool {
		st := e.Statement()
		switch {
		case everything:
			return true
		case st == nil:
			return message
		}
		return cosign && st.PredicateType() == cosignSignature
	}
	return func(v *view) RuleResult {
		return v.any(wants, func(*checklist, *item) {})
	}
}
