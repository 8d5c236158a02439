package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// A Code is why a rule was not satisfied, or why evidence does not count. The
// strings are stable.
type Code string

// The codes.
const (
	NoEvidence      Code = "NO_EVIDENCE"      // nothing of the wanted type was found
	UntrustedSigner Code = "UNTRUSTED_SIGNER" // signed by somebody else, or under another trust root
	BadSignature    Code = "BAD_SIGNATURE"    // the signature does not fit what was signed
	NotLogged       Code = "NOT_LOGGED"       // no valid transparency log entry where one is required
	NoTime          Code = "NO_TIME"          // no verified signing time where one is required
	SubjectMismatch Code = "SUBJECT_MISMATCH" // about another artifact
	WrongType       Code = "WRONG_TYPE"       // about the artifact, and of another type
	Expectation     Code = "EXPECTATION"      // a field is not as the rule wants it
	Ambiguous       Code = "AMBIGUOUS"        // the signer is two principals of the policy at once
	Malformed       Code = "MALFORMED"        // cannot be parsed
	DigestNeeded    Code = "DIGEST_NEEDED"    // undecided: the artifact's bytes, or another digest, are needed
	Fetch           Code = "FETCH"            // undecided: a source did not answer
	Limit           Code = "LIMIT"            // undecided: more than was looked at
	Undecidable     Code = "UNDECIDABLE"      // undecided: the call itself was incomplete
)

// A Check is one condition that was compared with one piece of evidence.
type Check struct {
	Path string // such as "signer.ref" or "provenance.source.repo"; limited like Got
	Want string
	Got  string // from the evidence; limited in length, without control characters
	Code Code   // what failing it means
}

// A stage orders checks for near misses: a later one is nearer.
type stage int

const (
	stageTrust stage = iota
	stageSigner
	stageContent
)

// A checklist collects every check of one candidate; none stops the others.
type checklist struct {
	prefix string // of the paths
	code   Code   // of what fails
	passed int
	failed []Check // the first maxFailed
	more   int     // that failed beside those
}

// maxFailed limits the failed checks that are kept of one candidate: a predicate
// may hold thousands of parameters that nobody asked for.
const maxFailed = 32

func (c *checklist) is(ok bool, path, want, got string) bool {
	switch {
	case ok:
		c.passed++
	case len(c.failed) == maxFailed:
		c.more++
	default:
		// Names of parameters are texts from outside, too.
		c.failed = append(c.failed, Check{Path: clip(c.prefix + path), Want: clip(want), Got: clip(got), Code: c.code})
	}
	return ok
}

// equal compares bytes. An empty value never equals: absent is not a value.
func (c *checklist) equal(path, want, got string) bool {
	ok := want == got && got != "" && unsafeText(got) == ""
	return c.is(ok, path, want, explain(want, got, ok))
}

func (c *checklist) match(path string, p pattern, got string) bool {
	ok := p.match(got)
	return c.is(ok, path, p.String(), explain(p.exact, got, ok))
}

// oneOf compares with a closed list.
func (c *checklist) oneOf(path string, want []string, got string) bool {
	ok := false
	for _, w := range want {
		ok = ok || w == got && got != ""
	}
	return c.is(ok, path, strings.Join(want, " or "), explain("", got, ok))
}

// fail records a check that cannot hold.
func (c *checklist) fail(path, want, got string) { c.is(false, path, want, got) }

// explain adds what a reader would not see.
func explain(want, got string, ok bool) string {
	switch {
	case ok:
	case got == "":
		return "nothing"
	case want != "" && strings.EqualFold(want, got):
		return got + " (differs in case only)"
	case want != "" && strings.EqualFold(decodePercent(want), decodePercent(got)):
		return got + " (differs in percent-encoding only)"
	}
	return got
}

func decodePercent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var v byte
		if s[i] == '%' && i+2 < len(s) {
			if n, err := fmt.Sscanf(s[i+1:i+3], "%02x", &v); err == nil && n == 1 {
				b.WriteByte(v)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// maxShown limits an untrusted text in a decision, in bytes.
const maxShown = 256

// clip makes an untrusted text fit to be shown: limited in length, and with
// whatever could deceive a reader or a terminal made visible.
func clip(s string) string {
	if len(s) > maxShown {
		cut := maxShown
		for cut > maxShown-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	if utf8.ValidString(s) && unsafeText(s) == "" {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !utf8.ValidString(s[i:min(i+3, len(s))]):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unsafeText(string(r)) != "":
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
