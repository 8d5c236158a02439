package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A decoder turns nodes into typed fields and collects what is wrong with them,
// so that one run shows all errors of a file.
type decoder struct {
	file     string
	problems []Problem
	counts   [2]int // of errors and warnings, with those that were left out
}

func (d *decoder) errorf(n *node, path, format string, args ...any) {
	d.report(n, SeverityError, path, fmt.Sprintf(format, args...), "")
}

func (d *decoder) suggest(n *node, path, message, suggestion string) {
	d.report(n, SeverityError, path, message, suggestion)
}

func (d *decoder) warn(n *node, path, message, suggestion string) {
	d.report(n, SeverityWarning, path, message, suggestion)
}

func (d *decoder) report(n *node, s Severity, path, message, suggestion string) {
	// Each kind has its own limit: warnings must never crowd out an error, which
	// alone keeps a policy from being used.
	if d.counts[s]++; d.counts[s] <= maxProblems {
		d.problems = append(d.problems, Problem{File: d.file, Line: n.line, Column: n.col,
			Severity: s, Path: path, Message: message, Suggestion: suggestion})
	}
}

// An object gives the fields of a map one by one; done reports those that
// nobody asked for.
type object struct {
	d    *decoder
	n    *node
	path string
	used map[string]bool
}

// object opens a map. A node that is no map is reported, and gives no fields.
func (d *decoder) object(n *node, path string) *object {
	o := &object{d: d, n: n, path: path, used: make(map[string]bool)}
	if n.kind != mapNode {
		d.errorf(n, path, "%s, want a map", n.kind)
		o.n = &node{kind: mapNode, line: n.line, col: n.col}
	}
	return o
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// field returns the value of a field, or nil if it is absent.
func (o *object) field(name string) *node {
	o.used[name] = true
	for _, m := range o.n.members {
		if m.key.text == name {
			return m.value
		}
	}
	return nil
}

// later reports fields that the language has and this version does not: a
// condition that is not checked must not be thought to hold.
func (o *object) later(names ...string) {
	for _, name := range names {
		if n := o.field(name); n != nil {
			o.d.errorf(n, join(o.path, name), "not yet supported in this version")
		}
	}
}

// done reports unknown fields.
func (o *object) done() {
	for _, m := range o.n.members {
		if o.used[m.key.text] {
			continue
		}
		message := fmt.Sprintf("unknown field %.64q", m.key.text)
		if near := nearest(m.key.text, o.used); near != "" {
			message += fmt.Sprintf(", did you mean %q?", near)
		}
		o.d.errorf(m.key, o.path, "%s", message)
	}
}

func nearest(name string, known map[string]bool) string {
	best, distance := "", 3
	for k := range known {
		if n := editDistance(strings.ToLower(name), strings.ToLower(k)); n < distance || n == distance && k < best {
			best, distance = k, n
		}
	}
	return best
}

func editDistance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diag+cost)
		}
	}
	return row[len(b)]
}

// YAML 1.1 and 1.2 give these plain scalars another type than text.
var (
	yamlWord   = regexp.MustCompile(`(?i)\A(?:~|null|y|n|yes|no|on|off|true|false|[-+]?\.inf|\.nan)?\z`)
	yamlNumber = regexp.MustCompile(`\A[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|0x[0-9a-fA-F_]+|0o?[0-7_]+|0b[01_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)\z`)
	yamlDate   = regexp.MustCompile(`\A[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?\z`)
)

// text reads a text field; absent is empty with ok false. An empty text is an
// error: it would match nothing or, worse, be taken for "not asked for".
func (o *object) text(name string) (string, bool) {
	n := o.field(name)
	if n == nil {
		return "", false
	}
	return o.d.text(n, join(o.path, name))
}

func (d *decoder) text(n *node, path string) (string, bool) {
	switch {
	case n.kind != scalarNode:
		d.errorf(n, path, "%s, want text", n.kind)
	case n.plain && (yamlWord.MatchString(n.text) || yamlNumber.MatchString(n.text) || yamlDate.MatchString(n.text)):
		if n.text == "" {
			d.errorf(n, path, "empty, want text")
		} else {
			d.suggest(n, path, clip(n.text)+" has another type in YAML: quote it", strconv.Quote(n.text))
		}
	case n.text == "":
		d.errorf(n, path, "empty, want text")
	case len(n.text) > maxText:
		d.errorf(n, path, "%d bytes, want at most %d", len(n.text), maxText)
	case unsafeText(n.text) != "":
		d.errorf(n, path, "%s in the text", unsafeText(n.text))
	default:
		return n.text, true
	}
	return "", false
}

// required is text for a field that must be there.
func (o *object) required(name string) (string, bool) {
	if o.field(name) == nil {
		o.d.errorf(o.n, o.path, "%s is missing", name)
		return "", false
	}
	return o.text(name)
}

// maxText limits one text of a policy, in bytes; inline keys are the longest.
const maxText = 16 << 10

// unsafeText names what makes a text look other than it is: control
// characters, line and paragraph separators, bidirectional controls.
func unsafeText(s string) string {
	for _, r := range s {
		switch {
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return fmt.Sprintf("control character U+%04X", r)
		case r == 0x2028 || r == 0x2029:
			return fmt.Sprintf("line separator U+%04X", r)
		case r == 0x061c || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return fmt.Sprintf("bidirectional control U+%04X", r)
		case r == 0xfffd:
			return "replacement character U+FFFD"
		}
	}
	return ""
}

// list reads a list with at least one item; a nil result was reported.
func (o *object) list(name string) []*node {
	n := o.field(name)
	if n == nil {
		return nil
	}
	if n.kind != listNode {
		o.d.errorf(n, join(o.path, name), "%s, want a list", n.kind)
		return nil
	}
	if len(n.items) == 0 {
		o.d.errorf(n, join(o.path, name), "empty list: it would match nothing")
	}
	return n.items
}

var decimal = regexp.MustCompile(`\A(?:0|[1-9][0-9]*)\z`)

// integer reads a whole number from least to 2³¹−1; absent is 0 with ok false.
func (o *object) integer(name string, least int) (int, bool) {
	n := o.field(name)
	if n == nil {
		return 0, false
	}
	return o.d.integer(n, join(o.path, name), least)
}

func (d *decoder) integer(n *node, path string, least int) (int, bool) {
	if n.kind != scalarNode || !n.plain || !decimal.MatchString(n.text) {
		d.errorf(n, path, "%.64q, want a plain whole number such as 2", n.text)
		return 0, false
	}
	v, err := strconv.ParseInt(n.text, 10, 32)
	if err != nil || int(v) < least {
		d.errorf(n, path, "%.64s, want %d to 2147483647", n.text, least)
		return 0, false
	}
	return int(v), true
}

// plainDate is stricter than time.Parse, which takes 1:02 and a comma.
var plainDate = regexp.MustCompile(`\A[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z)?\z`)

// date reads RFC 3339 with Z, or a day, which begins at 00:00:00Z.
func (o *object) date(name string) (time.Time, bool) {
	n := o.field(name)
	if n == nil {
		return time.Time{}, false
	}
	path := join(o.path, name)
	if n.kind != scalarNode {
		o.d.errorf(n, path, "%s, want a date such as 2027-01-31T00:00:00Z", n.kind)
		return time.Time{}, false
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05.999999999Z", "2006-01-02"} {
		if t, err := time.Parse(layout, n.text); err == nil && t.Year() > 1 && plainDate.MatchString(n.text) {
			return t, true
		}
	}
	o.d.errorf(n, path, "%.64q, want a date such as 2027-01-31T00:00:00Z or 2027-01-31", n.text)
	return time.Time{}, false
}

// pattern reads a pattern field: plain text with * and **, or a map with
// exactly one of exact and re.
func (o *object) pattern(name string) (pattern, bool) {
	n := o.field(name)
	if n == nil {
		return pattern{}, false
	}
	return o.d.pattern(n, join(o.path, name), nil)
}

// pattern compiles n; rewrite, if given, changes the text of a plain pattern
// before it is compiled.
func (d *decoder) pattern(n *node, path string, rewrite func(string) string) (pattern, bool) {
	var p pattern
	err := errors.New("want exactly one of exact and re")
	if n.kind == mapNode {
		o := d.object(n, path)
		exact, isExact := o.text("exact")
		re, isRE := o.text("re")
		o.done()
		switch {
		case isExact && !isRE:
			p, err = exactPattern(exact), nil
		case isRE && !isExact:
			p, err = regexpPattern(re)
		}
	} else {
		text, ok := d.text(n, path)
		if !ok {
			return pattern{}, false
		}
		if rewrite != nil {
			text = rewrite(text)
		}
		p, err = compilePattern(text)
	}
	if err != nil {
		d.errorf(n, path, "%v", err)
		return pattern{}, false
	}
	return p, true
}
