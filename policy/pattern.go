package policy

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// A pattern is a compiled text condition. It is anchored at both ends.
//
//	pattern = 1*( "**" / "*" / char )
//
// "*" matches zero or more bytes but "/", "**" zero or more of any; every other
// character stands for itself. The zero pattern matches nothing.
type pattern struct {
	source string // as it was written
	exact  string // without wildcards: the text itself
	re     *regexp.Regexp
	glob   bool // has wildcards, so that odd path segments never match
}

const (
	maxPatternBytes = 1024
	maxRegexpBytes  = 512
	maxValueBytes   = 8192 // of what a pattern is compared with
)

func exactPattern(text string) pattern { return pattern{source: text, exact: text} }

func compilePattern(text string) (pattern, error) {
	switch {
	case text == "":
		return pattern{}, fmt.Errorf("empty pattern")
	case len(text) > maxPatternBytes:
		return pattern{}, fmt.Errorf("pattern of %d bytes, want at most %d", len(text), maxPatternBytes)
	case strings.Contains(text, "***"):
		return pattern{}, fmt.Errorf("*** in a pattern, want * (within a path segment) or ** (across)")
	case strings.ContainsAny(text, `?[]{}\`):
		return pattern{}, fmt.Errorf("%q in a pattern: write {exact: …} to mean it, or {re: …}", text[strings.IndexAny(text, `?[]{}\`)])
	case !strings.Contains(text, "*"):
		return exactPattern(text), nil
	}
	var b strings.Builder
	b.WriteString(`\A`)
	for rest := text; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**"):
			b.WriteString(`(?s:.*)`)
			rest = rest[2:]
		case rest[0] == '*':
			b.WriteString(`[^/]*`)
			rest = rest[1:]
		default:
			i := strings.IndexByte(rest, '*')
			if i < 0 {
				i = len(rest)
			}
			b.WriteString(regexp.QuoteMeta(rest[:i]))
			rest = rest[i:]
		}
	}
	b.WriteString(`\z`)
	re, err := regexp.Compile(b.String())
	if err != nil {
		return pattern{}, err
	}
	return pattern{source: text, re: re, glob: true}, nil
}

// regexpPattern compiles an RE2 expression, anchored. Flags that change what
// anchors or lines mean are refused.
func regexpPattern(text string) (pattern, error) {
	if len(text) > maxRegexpBytes {
		return pattern{}, fmt.Errorf("regular expression of %d bytes, want at most %d", len(text), maxRegexpBytes)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return pattern{}, fmt.Errorf("regular expression: %w", err)
	}
	if multiLine(parsed) {
		return pattern{}, fmt.Errorf("regular expression with line anchors (?m): want \\A and \\z, which are there already")
	}
	re, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return pattern{}, fmt.Errorf("regular expression: %w", err)
	}
	return pattern{source: text, re: re}, nil
}

func multiLine(re *syntax.Regexp) bool {
	if re.Op == syntax.OpBeginLine || re.Op == syntax.OpEndLine {
		return true
	}
	for _, sub := range re.Sub {
		if multiLine(sub) {
			return true
		}
	}
	return false
}

// match reports whether the whole value matches. A value that holds control
// characters or is overlong matches nothing; neither does one with an empty,
// "." or ".." path segment match a wildcard.
func (p pattern) match(value string) bool {
	switch {
	case p.source == "" || len(value) > maxValueBytes || unsafeText(value) != "":
		return false
	case p.re == nil:
		return value == p.exact
	case p.glob && oddSegment(value):
		return false
	}
	return p.re.MatchString(value)
}

// matches reports whether the pattern matches every one of the values: probes
// that only a pattern without a real condition lets through.
func (p pattern) matches(values ...string) bool {
	for _, v := range values {
		if !p.match(v) {
			return false
		}
	}
	return true
}

// anyRef reports whether a pattern of refs accepts branches, tags and pull
// requests alike.
func (p pattern) anyRef() bool {
	return p.matches("refs/heads/a", "refs/heads/b/c", "refs/tags/d", "refs/pull/1/merge")
}

// anyCommit is a pattern of a reusable workflow's ref that pins nothing.
func (p pattern) anyCommit() bool {
	return p.matches("0123456789abcdef0123456789abcdef01234567", "fedcba9876543210fedcba9876543210fedcba98")
}

// String writes the pattern as a policy would.
func (p pattern) String() string {
	switch {
	case p.re != nil && !p.glob:
		return "{re: " + strconv.Quote(p.source) + "}"
	case p.re == nil && (p.exact == "any" || strings.ContainsAny(p.exact, "*?[]{}\\")):
		return "{exact: " + strconv.Quote(p.exact) + "}"
	}
	return p.source
}

// yaml is String, in quotes where YAML needs them.
func (p pattern) yaml() string {
	if s := p.String(); s != p.source {
		return s
	}
	return quote(p.source)
}

// oddSegment looks at what follows the scheme of a URI, if there is one.
func oddSegment(value string) bool {
	if i := strings.Index(value, "://"); i > 0 && !strings.Contains(value[:i], "/") {
		value = value[i+3:]
	}
	for seg := range strings.SplitSeq(value, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return true
		}
	}
	return false
}
