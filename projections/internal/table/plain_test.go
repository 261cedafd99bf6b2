package table //nolint:testpackage // what it tests is not for others

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

type ordinary struct {
	Text    string         `json:"text"`
	Some    string         `json:"some,omitempty"`
	N       int64          `json:"n"`
	Big     uint64         `json:"big,omitempty"`
	Ratio   float64        `json:"ratio"`
	Small   float32        `json:"small"`
	Bytes   []byte         `json:"bytes"`
	List    []string       `json:"list"`
	Few     []string       `json:"few,omitempty"`
	Map     map[string]int `json:"map,omitempty"`
	Pointer *string        `json:"pointer"`
	Deep    []struct {
		Pair [2]int
		In   map[string][]float64
	}
	At time.Time
	ID uuid.UUID
}

func ordinaries() *rapid.Generator[ordinary] {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "\xff", "a\xffb", "<&>\u2028"}))
	ratio := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.Copysign(0, -1), 0, 1e21, 5e-324, math.Inf(1), math.NaN()}))
	at := rapid.SampledFrom([]time.Time{{}, time.Now(), time.Now().UTC(), time.Now().Round(0), time.Now().Round(0).UTC(), time.Unix(0, 1), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)})
	texts := rapid.SliceOfN(text, 0, 2)
	return rapid.Custom(func(t *rapid.T) (o ordinary) {
		o.Text, o.Some, o.N, o.Big = text.Draw(t, "text"), text.Draw(t, "some"), rapid.Int64().Draw(t, "n"), rapid.Uint64().Draw(t, "big")
		o.Ratio, o.Small, o.At = ratio.Draw(t, "ratio"), rapid.Float32().Draw(t, "small"), at.Draw(t, "at")
		o.Bytes = rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 2)).Draw(t, "bytes")
		o.List, o.Few = rapid.OneOf(rapid.Just([]string(nil)), texts).Draw(t, "list"), rapid.OneOf(rapid.Just([]string(nil)), texts).Draw(t, "few")
		o.Map = rapid.OneOf(rapid.Just(map[string]int(nil)), rapid.MapOfN(text, rapid.Int(), 0, 2)).Draw(t, "map")
		o.Pointer = rapid.Ptr(text, true).Draw(t, "pointer")
		o.Deep = make([]struct {
			Pair [2]int
			In   map[string][]float64
		}, rapid.IntRange(0, 1).Draw(t, "deep"))
		for i := range o.Deep {
			o.Deep[i].In = rapid.MapOfN(text, rapid.SliceOfN(ratio, 0, 2), 0, 2).Draw(t, "in")
		}
		return o
	})
}

// What a look says is kept by JSON and by jsonb is.
func TestDocument_that_a_look_says_is_kept_is_kept(t *testing.T) {
	t.Parallel()
	look := keptBy(reflect.TypeFor[ordinary]())
	var saw [2]int
	rapid.Check(t, func(t *rapid.T) {
		o := ordinaries().Draw(t, "document")
		if !look(reflect.ValueOf(o)) {
			saw[0]++
			return
		}
		saw[1]++
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		forms := [][]byte{text}
		if other, err := jsonb(text); err == nil { // it refuses NULs
			forms = append(forms, other)
		}
		for _, text := range forms {
			var back ordinary
			if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(o, back) {
				t.Fatalf("%v\n%+v\n%+v", err, o, back)
			}
		}
	})
	if saw[0] == 0 || saw[1] == 0 {
		t.Errorf("%d looked at twice, %d kept", saw[0], saw[1])
	}
}

func TestTypes_that_JSON_may_not_keep_are_known(t *testing.T) {
	t.Parallel()
	type loop struct{ Next *loop }
	type one struct{ A int }
	for value, want := range map[any]bool{
		one{}: true, (*one)(nil): true, [2]one{}: true,
		struct{ a int }{}: false, struct{ one }{}: false, loop{}: false, (**one)(nil): false, (*[]int)(nil): false, (*any)(nil): false,
		struct {
			A int `json:"-"`
		}{}: false,
		struct {
			A int `json:",string"`
		}{}: false,
		struct {
			A int `json:"b"`
			B int
		}{}: false,
		struct{ N json.Number }{}: false, json.Number(""): false, time.Month(1): true, struct{ D time.Duration }{}: true, (*map[int]int)(nil): false,
	} {
		if got := keptBy(reflect.TypeOf(value)) != nil; got != want {
			t.Errorf("%T: %v", value, got)
		}
	}
}
