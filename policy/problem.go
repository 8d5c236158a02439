package policy

import (
	"fmt"
	"strings"
)

// A Severity says whether a [Problem] keeps a policy from loading.
type Severity int

// The severities. The zero value is the grave one.
const (
	SeverityError Severity = iota
	SeverityWarning
)

func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// A Problem is something wrong, or questionable, in a policy file.
type Problem struct {
	File       string
	Line       int // from 1
	Column     int // from 1
	Severity   Severity
	Path       string // such as "require[0].provenance.source"; may be empty
	Message    string // what was found and what was wanted
	Suggestion string // a line to write instead, or empty
}

func (p *Problem) Error() string {
	text := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Severity == SeverityWarning {
		text += "warning: "
	}
	if p.Path != "" {
		text += p.Path + ": "
	}
	text += p.Message
	if p.Suggestion != "" {
		text += "; write: " + p.Suggestion
	}
	return text
}

// A LoadError is why a policy was not loaded: every error that was found, in
// the order of the file.
type LoadError struct {
	Problems []Problem // at least one
}

func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i := range e.Problems {
		lines[i] = e.Problems[i].Error()
	}
	return "policy: " + strings.Join(lines, "\n")
}

// maxProblems is where a loader stops collecting errors, and warnings.
const maxProblems = 50
