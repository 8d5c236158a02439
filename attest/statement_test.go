package attest_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hallmark-dev/hallmark/attest"
)

const (
	sum1 = "0000000000000000000000000000000000000000000000000000000000000001"
	sum2 = "0000000000000000000000000000000000000000000000000000000000000002"
)

var long = strings.Repeat("0", 128)

func sub(name string, digests ...string) attest.Subject {
	s := attest.Subject{Name: name, Digest: attest.DigestSet{}}
	for i := 0; i < len(digests); i += 2 {
		s.Digest[digests[i]] = digests[i+1]
	}
	return s
}

func raw(json string) attest.Raw {
	return attest.Raw{Type: "https://example.com/p", JSON: []byte(json)}
}

func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want one with %q", err, text)
	}
}

func TestNew(t *testing.T) {
	for _, test := range []struct {
		name     string
		subjects []attest.Subject
		json     string
		want     string
	}{
		{"sorted and without repetition", []attest.Subject{sub("b", "sha256", sum2), sub("a", "sha256", sum1), sub("b", "sha256", sum2)}, `{}`,
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"` + sum1 + `"}},{"name":"b","digest":{"sha256":"` + sum2 + `"}}],"predicateType":"https://example.com/p","predicate":{}}`},
		{"no HTML escapes, numbers and white space as written", []attest.Subject{sub("<a&b>", "sha256", sum1)}, `{ "n": 1.0, "big": 1e400, "s": "<\u003c>" }`,
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"<a&b>","digest":{"sha256":"` + sum1 + `"}}],"predicateType":"https://example.com/p","predicate":{ "n": 1.0, "big": 1e400, "s": "<\u003c>" }}`},
		{"same name without one", []attest.Subject{sub("_", "sha256", sum1), sub("_", "sha256", sum2)}, `{}`,
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"_","digest":{"sha256":"` + sum1 + `"}},{"name":"_","digest":{"sha256":"` + sum2 + `"}}],"predicateType":"https://example.com/p","predicate":{}}`},
		{"digests sorted, unknown ones kept", []attest.Subject{sub("a", "sha512", long, "gitoid:sha1", "x", "sha256", sum1)}, `{}`,
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"gitoid:sha1":"x","sha256":"` + sum1 + `","sha512":"` + long + `"}}],"predicateType":"https://example.com/p","predicate":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			given := fmt.Sprint(test.subjects)
			for range 3 {
				st, err := attest.New(test.subjects, raw(test.json))
				if err != nil {
					t.Fatal(err)
				}
				if string(st.Bytes()) != test.want {
					t.Errorf("got  %s\nwant %s", st.Bytes(), test.want)
				}
				if string(st.Predicate()) != test.json || st.Type() != attest.StatementV1 || st.PredicateType() != "https://example.com/p" {
					t.Errorf("predicate %s of %s", st.Predicate(), st.PredicateType())
				}
			}
			if fmt.Sprint(test.subjects) != given {
				t.Error("the caller's subjects were changed")
			}
		})
	}
}

type failing struct{}

func (failing) PredicateType() string            { return "https://example.com/p" }
func (failing) EncodePredicate() ([]byte, error) { return nil, errors.New("not valid") }

func TestNewRefuses(t *testing.T) {
	good := []attest.Subject{sub("a", "sha256", sum1)}
	var many []attest.Subject
	for i := range attest.MaxSubjects + 1 {
		many = append(many, sub(fmt.Sprint(i), "sha256", sum1))
	}
	if _, err := attest.New(many[:attest.MaxSubjects], raw("{}")); err != nil {
		t.Errorf("at the limit of subjects: %v", err)
	}
	digests := func(n int) []attest.Subject {
		s := sub("a", "sha256", sum1)
		for i := range n - 1 {
			s.Digest[fmt.Sprint("x", i)] = "y"
		}
		return []attest.Subject{s}
	}
	if _, err := attest.New(digests(attest.MaxDigests), raw("{}")); err != nil {
		t.Errorf("at the limit of digests: %v", err)
	}
	deep := func(n int) attest.Raw { return raw(strings.Repeat(`{"a":`, n-1) + "{}" + strings.Repeat("}", n-1)) }
	if _, err := attest.New(good, deep(attest.MaxDepth)); err != nil {
		t.Errorf("at the limit of depth: %v", err)
	}
	base, err := attest.New(good, raw("{}"))
	if err != nil {
		t.Fatal(err)
	}
	size := func(n int) attest.Raw { return raw("{" + strings.Repeat(" ", n-len(base.Bytes())) + "}") }
	if _, err := attest.New(good, size(attest.MaxStatementBytes)); err != nil {
		t.Errorf("at the limit of bytes: %v", err)
	}

	for _, test := range []struct {
		name      string
		subjects  []attest.Subject
		predicate attest.Predicate
		text      string
	}{
		{"no subjects", nil, raw("{}"), "no subjects"},
		{"no digest", []attest.Subject{{Name: "a"}}, raw("{}"), "digest: empty"},
		{"upper case", []attest.Subject{sub("a", "sha256", strings.Repeat("A", 64))}, raw("{}"), "lower-case"},
		{"short", []attest.Subject{sub("a", "sha256", sum1[1:])}, raw("{}"), "63 characters"},
		{"short commit", []attest.Subject{sub("a", "gitCommit", "abc")}, raw("{}"), "gitCommit"},
		{"empty algorithm", []attest.Subject{sub("a", "", sum1)}, raw("{}"), "empty algorithm"},
		{"empty value", []attest.Subject{sub("a", "other", "")}, raw("{}"), "empty value"},
		{"one name, two digests", []attest.Subject{sub("a", "sha256", sum1), sub("a", "sha256", sum2)}, raw("{}"), "same name as subject[0]"},
		{"NUL", []attest.Subject{sub("a\x00b", "sha256", sum1)}, raw("{}"), "NUL"},
		{"invalid UTF-8", []attest.Subject{sub("a\xff", "sha256", sum1)}, raw("{}"), "UTF-8"},
		{"bad annotations", []attest.Subject{{Name: "a", Digest: attest.DigestSet{"sha256": sum1}, Annotations: []byte(`{"a":1,"a":2}`)}}, raw("{}"), "annotations"},
		{"too many subjects", many, raw("{}"), "split them over several statements"},
		{"too many digests", digests(attest.MaxDigests + 1), raw("{}"), "want at most 32"},
		{"no predicate", good, nil, "no predicate"},
		{"predicate that fails", good, failing{}, "not valid"},
		{"no predicate type", good, attest.Raw{JSON: []byte("{}")}, "want an absolute URI"},
		{"relative predicate type", good, attest.Raw{Type: "provenance", JSON: []byte("{}")}, "want an absolute URI"},
		{"empty predicate", good, raw(""), "predicate"},
		{"null", good, raw("null"), "want an object"},
		{"array", good, raw("[]"), "want an object"},
		{"duplicate name", good, raw(`{"a":1,"a":2}`), "twice"},
		{"two values", good, raw(`{} {}`), "predicate"},
		{"injected member", good, raw(`{},"predicate":{"x":1}`), "predicate"},
		{"too deep", good, deep(attest.MaxDepth + 1), "predicate"},
		{"too large", good, size(attest.MaxStatementBytes + 1), "want at most 25165824"},
	} {
		t.Run(test.name, func(t *testing.T) {
			st, err := attest.New(test.subjects, test.predicate)
			wantError(t, err, test.text)
			if st != nil {
				t.Error("a statement came with an error")
			}
		})
	}
	var bad *attest.SubjectError
	if _, err := attest.New([]attest.Subject{sub("a", "sha256", sum1), {Name: "b"}}, raw("{}")); !errors.As(err, &bad) || bad.Index != 1 || bad.Name != "b" {
		t.Errorf("got %v, want a SubjectError of subject 1", err)
	}
}

func doc(typ, subject, rest string) string {
	return `{"_type":"` + typ + `","subject":` + subject + `,"predicateType":"https://example.com/p"` + rest + `}`
}

func TestParse(t *testing.T) {
	one := `[{"name":"a","digest":{"sha256":"` + sum1 + `"}}]`
	for name, data := range map[string]string{
		"v1":                   doc(attest.StatementV1, one, `,"predicate":{"a":1}`),
		"v0.1":                 doc(attest.StatementV01, one, `,"predicate":{"a":1}`),
		"unknown fields":       doc(attest.StatementV1, `[{"name":"a","digest":{"sha256":"`+sum1+`"},"later":true}]`, `,"predicate":{},"later":[1,2]`),
		"no name":              doc(attest.StatementV1, `[{"digest":{"sha256":"`+sum1+`"}}]`, `,"predicate":{}`),
		"no predicate":         doc(attest.StatementV1, one, ``),
		"null predicate":       doc(attest.StatementV1, one, `,"predicate":null`),
		"weak digest opaque":   doc(attest.StatementV1, `[{"digest":{"md5":"WHATEVER"}}]`, `,"predicate":{}`),
		"escapes in the names": strings.Replace(doc(attest.StatementV1, one, `,"predicate":{}`), `"subject"`, `"su\u0062ject"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			given := []byte(data)
			st, err := attest.Parse(given)
			if err != nil {
				t.Fatal(err)
			}
			given[0] = 'x'
			if string(st.Bytes()) != data || len(st.Subjects()) != 1 {
				t.Errorf("bytes %s, subjects %v", st.Bytes(), st.Subjects())
			}
		})
	}
	for _, test := range []struct{ name, data, text string }{
		{"empty", "", "statement"},
		{"not JSON", "x", "statement"},
		{"array", "[]", "statement"},
		{"truncated", doc(attest.StatementV1, one, "")[:50], "statement"},
		{"trailing data", doc(attest.StatementV1, one, "") + "x", "statement"},
		{"no type", `{"subject":` + one + `,"predicateType":"x"}`, "statement type"},
		{"another type", doc("https://in-toto.io/Statement/v2", one, ""), "statement type"},
		{"type in another case", strings.Replace(doc(attest.StatementV1, one, ""), "_type", "_Type", 1), "statement type"},
		{"no predicate type", `{"_type":"` + attest.StatementV1 + `","subject":` + one + `}`, "without predicateType"},
		{"no subject", doc(attest.StatementV1, "[]", ""), "without subject"},
		{"null subject", doc(attest.StatementV1, "null", ""), "without subject"},
		{"subject of another shape", doc(attest.StatementV1, `{"name":"a"}`, ""), "subject"},
		{"subject without digest", doc(attest.StatementV1, `[{"name":"a"}]`, ""), "no digest"},
		{"digest of another shape", doc(attest.StatementV1, `[{"digest":{"sha256":1}}]`, ""), "digest"},
		{"upper-case digest", doc(attest.StatementV1, `[{"digest":{"sha256":"`+strings.Repeat("A", 64)+`"}}]`, ""), "lower-case"},
		{"long digest", doc(attest.StatementV1, `[{"digest":{"sha256":"`+sum1+`00"}}]`, ""), "66 characters"},
		{"duplicate subject", strings.Replace(doc(attest.StatementV1, one, ""), `"subject":`, `"subject":[],"subject":`, 1), "twice"},
		{"duplicate by escape", strings.Replace(doc(attest.StatementV1, one, ""), `"subject":`, `"subjec\u0074":[],"subject":`, 1), "twice"},
		{"duplicate digest", doc(attest.StatementV1, `[{"digest":{"sha256":"`+sum1+`","sha256":"`+sum2+`"}}]`, ""), "twice"},
		{"predicate of another shape", doc(attest.StatementV1, one, `,"predicate":[]`), "want an object"},
		{"too deep", doc(attest.StatementV1, one, `,"predicate":`+strings.Repeat(`{"a":`, attest.MaxDepth)+"{}"+strings.Repeat("}", attest.MaxDepth)), "levels"},
		{"too large", doc(attest.StatementV1, one, strings.Repeat(" ", attest.MaxStatementBytes)), "want at most"},
		{"invalid UTF-8", strings.Replace(doc(attest.StatementV1, one, ""), `"a"`, "\"\xff\"", 1), "UTF-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := attest.Parse([]byte(test.data))
			wantError(t, err, test.text)
		})
	}
}

func TestBind(t *testing.T) {
	st := func(subjects ...attest.Subject) *attest.Statement {
		s, err := attest.New(subjects, raw("{}"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, test := range []struct {
		name     string
		st       *attest.Statement
		artifact attest.DigestSet
		want     attest.Match
		subject  string
	}{
		{"equal", st(sub("a", "sha256", sum1)), attest.DigestSet{"sha256": sum1}, attest.Equal, "a"},
		{"second subject", st(sub("a", "sha256", sum1), sub("b", "sha256", sum2)), attest.DigestSet{"sha256": sum2}, attest.Equal, "b"},
		{"more digests on either side", st(sub("a", "sha256", sum1, "sha512", long)), attest.DigestSet{"sha256": sum1, "sha384": long[:96]}, attest.Equal, "a"},
		{"different", st(sub("a", "sha256", sum1)), attest.DigestSet{"sha256": sum2}, attest.Different, ""},
		{"no algorithm in common", st(sub("a", "sha256", sum1)), attest.DigestSet{"sha512": long}, attest.Unrelated, ""},
		{"one equal, one not", st(sub("a", "sha256", sum1, "sha512", long)), attest.DigestSet{"sha256": sum1, "sha512": strings.Repeat("1", 128)}, attest.Conflict, ""},
		{"a lie beside the truth", st(sub("a", "sha256", sum1), sub("b", "sha256", sum1, "sha512", long)), attest.DigestSet{"sha256": sum1, "sha512": strings.Repeat("1", 128)}, attest.Conflict, ""},
		{"weak alone", st(sub("a", "sha1", sum1[:40], "md5", sum1[:32])), attest.DigestSet{"sha1": sum1[:40], "md5": sum1[:32]}, attest.Unrelated, ""},
		{"git alone", st(sub("a", "gitCommit", sum1)), attest.DigestSet{"gitCommit": sum1}, attest.Unrelated, ""},
		{"weak differs, strong equal", st(sub("a", "sha256", sum1, "md5", sum1[:32])), attest.DigestSet{"sha256": sum1, "md5": sum2[32:]}, attest.Equal, "a"},
		{"another case", st(sub("a", "sha256", sum1)), attest.DigestSet{"sha256": strings.ToUpper("a" + sum1[1:])}, attest.Different, ""},
		{"empty artifact", st(sub("a", "sha256", sum1)), nil, attest.Unrelated, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.st.Bind(test.artifact)
			if got.Match != test.want || got.Subject.Name != test.subject {
				t.Errorf("got %v %q, want %v %q", got.Match, got.Subject.Name, test.want, test.subject)
			}
		})
	}
	if m := (attest.DigestSet{"sha256": "ABC"}).Compare(attest.DigestSet{"sha256": "ABC"}); m == attest.Equal {
		t.Error("two malformed digests are equal")
	}
}

func TestDigest(t *testing.T) {
	d, err := attest.ParseDigest("sha256:" + sum1)
	if err != nil {
		t.Fatal(err)
	}
	again, err := attest.NewDigest("sha256", d.Bytes())
	if err != nil || again != d || d.String() != "sha256:"+sum1 || d.Hex() != sum1 || d.Algorithm() != "sha256" || d.IsZero() {
		t.Errorf("%v, %v", d, again)
	}
	var zero attest.Digest
	if !zero.IsZero() || zero.String() != "none" || len(attest.Set(zero)) != 0 || len(zero.Bytes()) != 0 {
		t.Error("the zero digest is something")
	}
	for _, s := range []string{"", "sha256", "sha256:", sum1, "sha256:" + sum1[1:], "sha256:" + sum1 + "0", "sha256:" + strings.Repeat("A", 64), "sha1:" + sum1[:40], "md5:" + sum1[:32], "SHA256:" + sum1, "sha256:" + sum1 + "\n", " sha256:" + sum1} {
		if d, err := attest.ParseDigest(s); err == nil || !d.IsZero() {
			t.Errorf("%q was accepted", s)
		}
	}
	if _, err := attest.NewDigest("sha256", []byte{1}); err == nil {
		t.Error("a short sum was accepted")
	}
	set := attest.DigestSet{"sha512": long, "sha256": sum1, "md5": "x", "sha384": "short"}
	if got := set.Strong(); len(got) != 2 || got[0].Algorithm() != "sha256" || got[1].Algorithm() != "sha512" {
		t.Errorf("strong digests %v", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(doc(attest.StatementV1, `[{"name":"a","digest":{"sha256":"`+sum1+`"}}]`, `,"predicate":{"a":[1e3,"\u00e9"]}`)))
	f.Add([]byte(doc(attest.StatementV01, `[{"uri":"u","digest":{"md5":"x"}}]`, `,"predicate":null`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := attest.Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(st.Bytes(), data) || len(st.Subjects()) == 0 || st.PredicateType() == "" {
			t.Fatalf("read %+v", st)
		}
		if p := st.Predicate(); p != nil {
			// What was read can be written again, unless it was too loose to write.
			again, err := attest.New(st.Subjects(), attest.Raw{Type: st.PredicateType(), JSON: p})
			if err == nil && !bytes.Equal(again.Predicate(), p) {
				t.Errorf("predicate %s became %s", p, again.Predicate())
			}
		}
		for _, s := range st.Subjects() {
			if strong := s.Digest.Strong(); len(strong) > 0 && st.Bind(attest.Set(strong[0])).Match != attest.Equal {
				t.Errorf("not about its own subject %v", s)
			}
		}
	})
}

func ExampleNew() {
	subject := attest.Subject{Name: "app.tar.gz", Digest: attest.DigestSet{"sha256": sum1}}
	st, err := attest.New([]attest.Subject{subject}, attest.Raw{Type: "https://example.com/review/v1", JSON: []byte(`{"approved":true}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(st.PredicateType(), string(st.Predicate()))
	// Output: https://example.com/review/v1 {"approved":true}
}
