// Package policy decides about an artifact by a declarative policy: who has to
// have said what about it.
//
// A policy file (YAML or JSON) lists rules that must all hold. Each rule names
// who says it and what they say; nothing passes because something was not
// found, and leaving something out is stricter:
//
//	policy: v1
//	require:
//	  - provenance: {from: github.com/acme/app@v*}
//
// Start with [Load] and [Policy.Evaluate]. Evaluate is a pure function of
// evidence that package verify made, of the artifact's digests and of a time.
// The [Decision] names the evidence that was used, how near the rest came, what
// the policy relaxes, and until when it may be reused.
//
// # The language, version v1
//
// This version has the rules provenance and signature, and the signers github,
// gitlab, oidc, email and key. What the language has beyond that is refused
// when the policy is loaded, with "not yet supported", and never ignored.
//
// Patterns: a plain text is exact, "*" stays within a path segment, "**"
// crosses; {exact: …} and {re: …} are written where those characters are meant
// or do not suffice. In workflow: OWNER/REPO/PATH@REF, a REF of "*" alone is
// taken as it is, so that it matches a commit; otherwise a REF that does not
// begin with refs/ and is no commit is a tag.
//
// Trust roots are named: public-good and github are what the caller supplies
// under these names, given is a root that the caller chose in their place, and
// {file, sha256} pins one in the policy.
//
// # What it does not do
//
// It does not fetch, verify signatures, read the clock or scan for anything.
// Withholding evidence cannot be noticed here: a rule sees what it is given.
//
// Package policy depends on no Sigstore library. Names exported here, the codes
// and the language v1 stay until the next major version.
package policy
