// Package report renders decisions for people and programs. A renderer knows
// nothing of deciding: it writes what a [policy.Decision] holds, and nothing
// else. Texts from outside were made safe when the decision was made.
//
// [Text] is for terminals, [JSON] for programs. Both are pure and safe for
// concurrent use, and write the same bytes for the same decision.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hallmark-dev/hallmark/policy"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// Text writes a decision for a person: the outcome and why, each rule with what
// it used or how near it came, relaxations, and where evidence was looked for.
func Text(w io.Writer, d policy.Decision) error {
	var b bytes.Buffer
	name := d.Artifact.Name
	if name == "" {
		name = firstDigest(d)
	}
	fmt.Fprintf(&b, "%s  %s\n", outcomeWord(d.Outcome), name)
	if name != firstDigest(d) {
		fmt.Fprintf(&b, "  %s\n", firstDigest(d))
	}
	if d.Message != "" && (len(d.Rules) == 0 || d.Outcome == policy.Pass) {
		fmt.Fprintf(&b, "  %s\n", d.Message)
	}
	for _, r := range d.Rules {
		if r.Status == policy.StatusPass {
			fmt.Fprintf(&b, "  %s %s (%s)\n", mark(r.Status), r.ID, r.Kind)
		} else {
			fmt.Fprintf(&b, "  %s %s (%s): %s %s\n", mark(r.Status), r.ID, r.Kind, r.Code, r.Message)
		}
		for _, u := range r.Used {
			fmt.Fprintf(&b, "      by %s: %s\n", u.Principal, u.Identity)
			writeEvidence(&b, "      ", u)
		}
		for i, m := range r.NearMisses {
			fmt.Fprintf(&b, "      near miss %d: %s by %s\n", i+1, m.Evidence.Type, m.Evidence.Identity)
			writeEvidence(&b, "        ", m.Evidence)
			for _, c := range m.Failed {
				fmt.Fprintf(&b, "        %s\n          want %s\n          got  %s\n", c.Path, c.Want, c.Got)
			}
			if m.More > 0 {
				fmt.Fprintf(&b, "        and %d more\n", m.More)
			}
		}
	}
	for _, e := range d.Evidence {
		if e.Disposition == policy.DispositionUsed || e.Code == "" && e.Message == "" {
			continue
		}
		fmt.Fprintf(&b, "  %s %s: %s\n", e.Disposition, place(e.Evidence), strings.TrimSpace(string(e.Code)+" "+e.Message))
	}
	for _, s := range d.Sources {
		if s.Error != "" {
			fmt.Fprintf(&b, "  source %s failed: %s\n", s.Name, s.Error)
		}
	}
	for _, r := range d.Relaxations {
		fmt.Fprintf(&b, "  relaxed: %s\n", r)
	}
	label := d.Policy.String()
	if d.PolicyName != "" {
		label = fmt.Sprintf("%s version %d, %s", d.PolicyName, d.PolicyVersion, label)
	}
	fmt.Fprintf(&b, "  policy %s, decided at %s", label, stamp(d.EvaluatedAt))
	if !d.ValidUntil.IsZero() {
		fmt.Fprintf(&b, ", valid until %s", stamp(d.ValidUntil))
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func writeEvidence(b *bytes.Buffer, indent string, e policy.EvidenceSummary) {
	for _, t := range e.Times {
		fmt.Fprintf(b, "%ssigned %s (%s %s)\n", indent, stamp(t.Time), t.Kind, t.Authority)
	}
	for _, l := range e.Logs {
		fmt.Fprintf(b, "%slogged %s, index %d\n", indent, l.Log, l.Index)
	}
	fmt.Fprintf(b, "%sevidence %s\n", indent, place(e))
}

func place(e policy.EvidenceSummary) string {
	switch {
	case e.Location != "" && e.Bundle != "":
		return e.Location + " (" + e.Bundle + ")"
	case e.Location != "":
		return e.Location
	}
	return e.Bundle
}

func outcomeWord(o policy.Outcome) string {
	switch o {
	case policy.Pass:
		return "PASS"
	case policy.Fail:
		return "DENIED"
	case policy.NotCovered:
		return "NOT COVERED"
	}
	return "COULD NOT DECIDE"
}

func mark(s policy.Status) string {
	switch s {
	case policy.StatusPass:
		return "+"
	case policy.StatusFail:
		return "-"
	}
	return "?"
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// jsonStamp is stamp for programs: an absent time is left out.
func jsonStamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

func firstDigest(d policy.Decision) string {
	if s := d.Artifact.Digests.Strong(); len(s) > 0 {
		return s[0].String()
	}
	return "no digest"
}

// SchemaVersion is the version of what [JSON] writes. Fields are added under the
// same number, and changed or removed under the next.
const SchemaVersion = 1

// JSON writes a decision as one JSON object with a line feed at the end. Times
// are RFC 3339 in UTC; absent ones are left out.
func JSON(w io.Writer, d policy.Decision) error {
	out := jsonDecision{
		SchemaVersion: SchemaVersion, Outcome: d.Outcome.String(), Code: string(d.Code), Message: d.Message,
		Artifact: jsonArtifact{d.Artifact.Name, make(map[string]string)},
		Policy: jsonPolicy{d.PolicyName, d.PolicyVersion, d.Policy.String(), make(map[string]string),
			d.Catalogue},
		EvaluatedAt: jsonStamp(d.EvaluatedAt), ValidUntil: jsonStamp(d.ValidUntil), Relaxations: list(d.Relaxations),
	}
	for _, digest := range d.Artifact.Digests.Strong() {
		out.Artifact.Digests[digest.Algorithm()] = digest.Hex()
	}
	for name, digest := range d.Files {
		out.Policy.Files[name] = digest.String()
	}
	out.Rules = []jsonRule{}
	for _, r := range d.Rules {
		jr := jsonRule{ID: r.ID, Kind: r.Kind, Line: r.Line, Status: r.Status.String(), Code: string(r.Code), Message: r.Message}
		for _, u := range r.Used {
			jr.Used = append(jr.Used, jsonEvidenceOf(u))
		}
		for _, m := range r.NearMisses {
			jm := jsonMiss{Evidence: jsonEvidenceOf(m.Evidence), Passed: m.Passed, More: m.More}
			for _, c := range m.Failed {
				jm.Failed = append(jm.Failed, jsonCheck{c.Path, c.Want, c.Got, string(c.Code)})
			}
			jr.NearMisses = append(jr.NearMisses, jm)
		}
		out.Rules = append(out.Rules, jr)
	}
	out.Evidence = []jsonReport{}
	for _, e := range d.Evidence {
		out.Evidence = append(out.Evidence, jsonReport{string(e.Disposition), string(e.Code), e.Message, jsonEvidenceOf(e.Evidence)})
	}
	for _, s := range d.Sources {
		out.Sources = append(out.Sources, jsonSource{s.Name, s.Found, s.Error, s.Retryable})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

type jsonDecision struct {
	SchemaVersion int          `json:"schemaVersion"`
	Outcome       string       `json:"outcome"`
	Code          string       `json:"code,omitempty"`
	Message       string       `json:"message"`
	Artifact      jsonArtifact `json:"artifact"`
	Policy        jsonPolicy   `json:"policy"`
	EvaluatedAt   string       `json:"evaluatedAt,omitempty"`
	ValidUntil    string       `json:"validUntil,omitempty"`
	Rules         []jsonRule   `json:"rules"`
	Evidence      []jsonReport `json:"evidence"`
	Relaxations   []string     `json:"relaxations"`
	Sources       []jsonSource `json:"sources,omitempty"`
}

type jsonArtifact struct {
	Name    string            `json:"name,omitempty"`
	Digests map[string]string `json:"digests"`
}

type jsonPolicy struct {
	Name      string            `json:"name,omitempty"`
	Version   int               `json:"version,omitempty"`
	Digest    string            `json:"digest"`
	Files     map[string]string `json:"files,omitempty"`
	Catalogue string            `json:"catalogue"`
}

type jsonRule struct {
	ID         string         `json:"id"`
	Kind       string         `json:"kind"`
	Line       int            `json:"line"`
	Status     string         `json:"status"`
	Code       string         `json:"code,omitempty"`
	Message    string         `json:"message,omitempty"`
	Used       []jsonEvidence `json:"used,omitempty"`
	NearMisses []jsonMiss     `json:"nearMisses,omitempty"`
}

type jsonMiss struct {
	Evidence jsonEvidence `json:"evidence"`
	Passed   int          `json:"passed"`
	Failed   []jsonCheck  `json:"failed"`
	More     int          `json:"more,omitempty"`
}

type jsonCheck struct {
	Path string `json:"path"`
	Want string `json:"want"`
	Got  string `json:"got"`
	Code string `json:"code"`
}

type jsonReport struct {
	Disposition string       `json:"disposition"`
	Code        string       `json:"code,omitempty"`
	Message     string       `json:"message,omitempty"`
	Evidence    jsonEvidence `json:"evidence"`
}

type jsonEvidence struct {
	Bundle    string     `json:"bundle,omitempty"`
	Envelope  string     `json:"envelope,omitempty"`
	Type      string     `json:"type,omitempty"`
	Location  string     `json:"location,omitempty"`
	Principal string     `json:"principal,omitempty"`
	Identity  string     `json:"identity,omitempty"`
	Root      *jsonRoot  `json:"trustRoot,omitempty"`
	Times     []jsonTime `json:"times,omitempty"`
	Logs      []jsonLog  `json:"logs,omitempty"`
}

type jsonRoot struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

type jsonTime struct {
	Kind      evidence.TimeKind `json:"kind"`
	Time      string            `json:"time,omitempty"`
	Authority string            `json:"authority"`
}

type jsonLog struct {
	LogID    string `json:"logID"`
	Log      string `json:"log"`
	Index    int64  `json:"index"`
	Kind     string `json:"kind"`
	Included bool   `json:"included"`
}

type jsonSource struct {
	Name      string `json:"name"`
	Found     int    `json:"found"`
	Error     string `json:"error,omitempty"`
	Retryable bool   `json:"retryable,omitempty"`
}

func jsonEvidenceOf(e policy.EvidenceSummary) jsonEvidence {
	out := jsonEvidence{Bundle: e.Bundle, Envelope: e.Envelope, Type: e.Type, Location: e.Location,
		Principal: e.Principal, Identity: e.Identity}
	if !e.RootSHA.IsZero() {
		out.Root = &jsonRoot{e.Root, e.RootSHA.String()}
	}
	for _, t := range e.Times {
		out.Times = append(out.Times, jsonTime{t.Kind, jsonStamp(t.Time), t.Authority})
	}
	for _, l := range e.Logs {
		out.Logs = append(out.Logs, jsonLog{l.LogID, l.Log, l.Index, l.Kind, l.Included})
	}
	return out
}
