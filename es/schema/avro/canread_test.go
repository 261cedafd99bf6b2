package avro_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es/schema"
	"github.com/asof-dev/asof/es/schema/avro"
)

var _ schema.CanRead = avro.CanRead

// order is a record of the fields given.
func order(fields ...string) string {
	return `{"type": "record", "name": "shop.Order", "fields": [` + strings.Join(fields, ", ") + `]}`
}

// of is an order with one field of a type.
func of(fieldType string) string { return order(`{"name": "total", "type": ` + fieldType + `}`) }

// lines is an order with lines of the fields given.
func lines(fields ...string) string {
	return order(`{"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [` +
		strings.Join(fields, ", ") + `]}}}`)
}

func enum(rest string) string { return of(`{"type": "enum", "name": "Status", ` + rest + `}`) }

func fixed(name, rest string) string {
	return of(`{"type": "fixed", "name": "` + name + `", ` + rest + `}`)
}

func decimal(precision, scale string) string {
	return of(`{"type": "bytes", "logicalType": "decimal", "precision": ` + precision + `, "scale": ` + scale + `}`)
}

func long(logical string) string { return of(`{"type": "long", "logicalType": "` + logical + `"}`) }

const (
	id       = `{"name": "id", "type": "string"}`
	note     = `{"name": "note", "type": "string"}`
	noteNone = `{"name": "note", "type": "string", "default": ""}`
	money    = `{"type": "record", "name": "Money", "fields": [{"name": "cents", "type": "long"}]}`
	card     = `{"type": "record", "name": "Card", "fields": [{"name": "last4", "type": "string"}]}`
	cash     = `{"type": "record", "name": "Cash", "fields": []}`
	tree     = `{"type": "record", "name": "Tree", "fields": [{"name": "value", "type": "%"}, {"name": "left", "type": ["null", "Tree"]}, {"name": "right", "type": ["null", "Tree"]}]}`
)

func TestCanRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reader, writer string
		problems       []string
	}{
		"the same":                        {order(id), order(id), nil},
		"another order of fields":         {order(id, note), order(note, id), nil},
		"documentation":                   {order(`{"name": "id", "type": "string", "doc": "its name"}`), order(id), nil},
		"a new field with a default":      {order(id, noteNone), order(id), nil},
		"a field is gone":                 {order(id), order(id, note), nil},
		"a default is gone, not needed":   {order(note), order(noteNone), nil},
		"a field without one is gone too": {order(), order(id, note), nil},
		"a new field":                     {order(id, note), order(id), []string{"field note is new and has no default: give it a default"}},
		"a new field that may be null": {
			order(id, `{"name": "note", "type": ["null", "string"]}`), order(id),
			[]string{"field note is new and has no default: give it a default"},
		},
		"two new fields": {order(id, note), order(), []string{
			"field id is new and has no default: give it a default", "field note is new and has no default: give it a default",
		}},
		"renamed": {order(`{"name": "comment", "type": "string"}`), order(note), []string{
			"field comment is new and has no default: give it a default, or, if it was renamed, keep the old name as an alias (note)",
		}},
		"renamed from one of many": {
			order(`{"name": "x", "type": "int"}`),
			order(`{"name": "a", "type": "int"}`, `{"name": "b", "type": "int"}`, `{"name": "c", "type": "int"}`, `{"name": "d", "type": "int"}`),
			[]string{"field x is new and has no default: give it a default, or, if it was renamed, keep the old name as an alias"},
		},
		"renamed with an alias": {order(`{"name": "comment", "aliases": ["note"], "type": "string"}`), order(note), nil},
		"an alias of the writer's does not count": {
			order(note), order(`{"name": "comment", "aliases": ["note"], "type": "string"}`),
			[]string{"field note is new and has no default: give it a default, or, if it was renamed, keep the old name as an alias (comment)"},
		},
		"a name and an alias of it": {
			order(`{"name": "comment", "aliases": ["note"], "type": "string"}`), order(note, `{"name": "comment", "type": "string"}`),
			[]string{"field comment is read of note and of comment: one value is lost: take the alias away"},
		},
		"names in another case": {order(`{"name": "ID", "type": "string"}`), order(id), []string{
			"field ID is new and has no default: give it a default, or, if it was renamed, keep the old name as an alias (id)",
		}},

		"int to long":           {of(`"long"`), of(`"int"`), nil},
		"int to float":          {of(`"float"`), of(`"int"`), nil},
		"int to double":         {of(`"double"`), of(`"int"`), nil},
		"long to float":         {of(`"float"`), of(`"long"`), nil},
		"long to double":        {of(`"double"`), of(`"long"`), nil},
		"float to double":       {of(`"double"`), of(`"float"`), nil},
		"string to bytes":       {of(`"bytes"`), of(`"string"`), nil},
		"bytes to string":       {of(`"string"`), of(`"bytes"`), nil},
		"long to int":           {of(`"int"`), of(`"long"`), []string{"field total became int (it was long): add a new field"}},
		"double to float":       {of(`"float"`), of(`"double"`), []string{"field total became float (it was double): add a new field"}},
		"float to long":         {of(`"long"`), of(`"float"`), []string{"field total became long (it was float): add a new field"}},
		"int to string":         {of(`"string"`), of(`"int"`), []string{"field total became string (it was int): add a new field"}},
		"boolean to int":        {of(`"int"`), of(`"boolean"`), []string{"field total became int (it was boolean): add a new field"}},
		"int to a record":       {of(money), of(`"int"`), []string{"field total became record Money (it was int): add a new field"}},
		"a string to an enum":   {enum(`"symbols": ["A"]`), of(`"string"`), []string{"field total became enum Status (it was string): add a new field"}},
		"to an array":           {of(`{"type": "array", "items": "int"}`), of(`"int"`), []string{"field total became array of int (it was int): add a new field"}},
		"array to map":          {of(`{"type": "map", "values": "int"}`), of(`{"type": "array", "items": "int"}`), []string{"field total became map of int (it was array of int): add a new field"}},
		"a deep type":           {of(`{"type": "array", "items": {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": "int"}}}}`), of(`"int"`), []string{"field total became array of array of array of … (it was int): add a new field"}},
		"the whole":             {`"string"`, `"int"`, []string{"the whole became string (it was int): keep the type"}},
		"the whole, wider":      {`"long"`, `"int"`, nil},
		"an error and a record": {`{"type": "error", "name": "E", "fields": []}`, `{"type": "record", "name": "E", "fields": []}`, nil},

		"an item":            {of(`{"type": "array", "items": "string"}`), of(`{"type": "array", "items": "int"}`), []string{"field total[] became string (it was int): add a new field"}},
		"an item, wider":     {of(`{"type": "array", "items": "long"}`), of(`{"type": "array", "items": "int"}`), nil},
		"a value":            {of(`{"type": "map", "values": "string"}`), of(`{"type": "map", "values": "int"}`), []string{"field total{} became string (it was int): add a new field"}},
		"a field of an item": {lines(`{"name": "price", "type": "int"}`), lines(`{"name": "price", "type": "long"}`), []string{"field lines[].price became int (it was long): add a new field"}},
		"all of an item's fields": {
			lines(`{"name": "price", "type": "int"}`, `{"name": "sku", "type": "int"}`, `{"name": "count", "type": "int"}`),
			lines(`{"name": "price", "type": "long"}`, `{"name": "sku", "type": "string"}`),
			[]string{
				"field lines[].price became int (it was long): add a new field",
				"field lines[].sku became int (it was string): add a new field",
				"field lines[].count is new and has no default: give it a default",
			},
		},
		"a field of a value": {
			of(`{"type": "map", "values": {"type": "record", "name": "Price", "fields": [{"name": "amount", "type": "int"}]}}`),
			of(`{"type": "map", "values": {"type": "record", "name": "Price", "fields": [{"name": "amount", "type": "string"}]}}`),
			[]string{"field total{}.amount became int (it was string): add a new field"},
		},

		"a type that two fields have is told once": {
			order(`{"name": "a", "type": `+strings.Replace(money, "long", "int", 1)+`}`, `{"name": "b", "type": "Money"}`),
			order(`{"name": "a", "type": `+money+`}`, `{"name": "b", "type": "Money"}`),
			[]string{"field a.cents became int (it was long): add a new field"},
		},

		"a symbol more":                {enum(`"symbols": ["A", "B"]`), enum(`"symbols": ["A"]`), nil},
		"symbols in another order":     {enum(`"symbols": ["A", "B"]`), enum(`"symbols": ["B", "A"]`), nil},
		"symbols less":                 {enum(`"symbols": ["A"]`), enum(`"symbols": ["A", "PAID", "CANCELLED"]`), []string{"field total lost the symbol PAID: keep it, or give the enum a default", "field total lost the symbol CANCELLED: keep it, or give the enum a default"}},
		"symbols less, with a default": {enum(`"symbols": ["A"], "default": "A"`), enum(`"symbols": ["A", "CANCELLED"]`), nil},
		"the writer's default":         {enum(`"symbols": ["A"]`), enum(`"symbols": ["A", "B"], "default": "A"`), []string{"field total lost the symbol B: keep it, or give the enum a default"}},
		"an enum's name":               {enum(`"symbols": ["A"]`), of(`{"type": "enum", "name": "State", "symbols": ["A"]}`), []string{"field total has the name shop.Status (it was shop.State): keep the old name as an alias"}},
		"an enum's alias":              {enum(`"symbols": ["A"], "aliases": ["State"]`), of(`{"type": "enum", "name": "State", "symbols": ["A"]}`), nil},

		"a size":         {fixed("Hash", `"size": 16`), fixed("Hash", `"size": 20`), []string{"field total became fixed Hash of 16 bytes (it was fixed Hash of 20 bytes): add a new field"}},
		"a smaller size": {fixed("Hash", `"size": 20`), fixed("Hash", `"size": 16`), []string{"field total became fixed Hash of 20 bytes (it was fixed Hash of 16 bytes): add a new field"}},
		"a size of a branch": {
			of(`["null", {"type": "fixed", "name": "Hash", "size": 20}]`), of(`["null", {"type": "fixed", "name": "Hash", "size": 16}]`),
			[]string{"field total does not take fixed Hash of 16 bytes any more (it was null or fixed Hash of 16 bytes): keep it among the types"},
		},
		"a fixed's name":      {fixed("Hash", `"size": 16`), fixed("Digest", `"size": 16`), []string{"field total has the name shop.Hash (it was shop.Digest): keep the old name as an alias"}},
		"fixed to bytes":      {of(`"bytes"`), fixed("Hash", `"size": 16`), []string{"field total became bytes (it was fixed Hash of 16 bytes): add a new field"}},
		"a record's name":     {of(strings.Replace(money, "Money", "Amount", 1)), of(money), []string{"field total has the name shop.Amount (it was shop.Money): keep the old name as an alias"}},
		"a name and a field":  {of(strings.Replace(strings.Replace(money, "Money", "Amount", 1), "long", "int", 1)), of(money), []string{"field total has the name shop.Amount (it was shop.Money): keep the old name as an alias", "field total.cents became int (it was long): add a new field"}},
		"the whole's name":    {strings.Replace(order(id), "Order", "Purchase", 1), order(id), []string{"the whole has the name shop.Purchase (it was shop.Order): keep the old name as an alias"}},
		"another namespace":   {strings.Replace(order(id), "shop.", "store.", 1), order(id), []string{"the whole has the name store.Order (it was shop.Order): keep the old name as an alias"}},
		"no namespace":        {strings.Replace(order(id), "shop.", "", 1), order(id), []string{"the whole has the name Order (it was shop.Order): keep the old name as an alias"}},
		"a full alias":        {strings.Replace(order(id), `"shop.Order"`, `"store.Order", "aliases": ["shop.Order"]`, 1), order(id), nil},
		"a short alias":       {strings.Replace(order(id), `"shop.Order"`, `"shop.Purchase", "aliases": ["Order"]`, 1), order(id), nil},
		"a short alias there": {strings.Replace(order(id), `"shop.Order"`, `"store.Purchase", "aliases": ["Order"]`, 1), order(id), []string{"the whole has the name store.Purchase (it was shop.Order): keep the old name as an alias"}},
		"a namespace apart":   {strings.Replace(order(id), `"shop.Order"`, `"Order", "namespace": "shop"`, 1), order(id), nil},

		"null more":                    {of(`["null", "int"]`), of(`"int"`), nil},
		"null more, and wider":         {of(`["null", "long"]`), of(`"int"`), nil},
		"null no more":                 {of(`"int"`), of(`["null", "int"]`), []string{"field total does not take null any more (it was null or int): keep it among the types"}},
		"branches in another order":    {of(`["int", "null"]`), of(`["null", "int"]`), nil},
		"a branch less":                {of(`["null", "int"]`), of(`["null", "int", "string"]`), []string{"field total does not take string any more (it was null or int or string): keep it among the types"}},
		"branches less":                {of(`"boolean"`), of(`["null", "int", "boolean"]`), []string{"field total does not take null any more (it was null or int or boolean): keep it among the types", "field total does not take int any more (it was null or int or boolean): keep it among the types"}},
		"a branch wider":               {of(`["null", "double"]`), of(`["null", "int", "float"]`), nil},
		"none for it":                  {of(`["null", "int"]`), of(`"string"`), []string{"field total became null or int (it was string): add a new field"}},
		"many branches":                {of(`["null", "int", "long", "float", "double", "boolean"]`), of(`"string"`), []string{"field total became null, int, long, float, double or another (it was string): add a new field"}},
		"the branch of the same type":  {of(`["double", {"type": "long", "logicalType": "timestamp-millis"}]`), of(`"long"`), nil},
		"a field of a branch":          {of(`["null", ` + strings.Replace(money, "long", "int", 1) + `]`), of(`["null", ` + money + `]`), []string{"field total.cents became int (it was long): add a new field"}},
		"a field within a new null":    {of(`["null", ` + strings.Replace(money, "long", "int", 1) + `]`), of(money), []string{"field total.cents became int (it was long): add a new field"}},
		"a record more":                {of(`[` + card + `, ` + cash + `]`), of(`[` + card + `]`), nil},
		"a record less":                {of(`[` + card + `]`), of(`[` + card + `, ` + cash + `]`), []string{"field total does not take record Cash any more (it was record Card or record Cash): keep it among the types"}},
		"a branch renamed":             {of(`["null", ` + strings.Replace(card, `"Card"`, `"Plastic"`, 1) + `]`), of(`["null", ` + card + `]`), []string{"field total does not take record Card any more (it was null or record Card): keep it among the types"}},
		"a branch renamed by an alias": {of(`["null", ` + strings.Replace(card, `"Card"`, `"Plastic", "aliases": ["Card"]`, 1) + `]`), of(`["null", ` + card + `]`), nil},
		"a branch's namespace":         {of(`["null", ` + strings.Replace(card, `"Card"`, `"pay.Card"`, 1) + `]`), of(`["null", ` + card + `]`), []string{"field total has the name pay.Card (it was shop.Card): keep the old name as an alias"}},
		"a branch of the full name": {
			of(`[` + strings.Replace(card, `"Card"`, `"pay.Card"`, 1) + `, ` + card + `]`), of(card), nil,
		},
		"the whole, null": {`["null", "int"]`, `"int"`, nil},

		"a recursion": {
			of(strings.Replace(tree, "%", "long", 1)), of(strings.Replace(tree, "%", "int", 1)), nil,
		},
		"a recursion's field": {
			of(strings.Replace(tree, "%", "int", 1)), of(strings.Replace(tree, "%", "long", 1)),
			[]string{"field total.value became int (it was long): add a new field"},
		},
		"a recursion in another way": {
			`{"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}`,
			`{"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", {"type": "record", "name": "M", "fields": [{"name": "next", "type": ["null", "L"]}]}]}]}`,
			[]string{"field next does not take record M any more (it was null or record M): keep it among the types"},
		},
		"a name before what it names": {
			order(`{"name": "a", "type": "Money"}`, `{"name": "b", "type": `+money+`}`),
			order(`{"name": "a", "type": `+money+`}`, `{"name": "b", "type": "shop.Money"}`), nil,
		},

		"a decimal":                   {decimal("9", "2"), decimal("9", "2"), nil},
		"a decimal's precision":       {decimal("10", "2"), decimal("9", "2"), []string{"field total became decimal(10,2) (it was decimal(9,2)): add a new field"}},
		"a decimal's scale":           {decimal("9", "3"), decimal("9", "2"), []string{"field total became decimal(9,3) (it was decimal(9,2)): add a new field"}},
		"a decimal that is fixed":     {fixed("D", `"size": 8, "logicalType": "decimal", "precision": 9, "scale": 1`), fixed("D", `"size": 8, "logicalType": "decimal", "precision": 9`), []string{"field total became decimal(9,1) (it was decimal(9,0)): add a new field"}},
		"a decimal, written beside":   {order(`{"name": "total", "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}`), decimal("9", "3"), []string{"field total became decimal(9,2) (it was decimal(9,3)): add a new field"}},
		"a decimal read as bytes":     {of(`"bytes"`), decimal("9", "2"), nil},
		"a decimal read as string":    {of(`"string"`), decimal("9", "2"), []string{"field total became string (it was decimal(9,2)): add a new field"}},
		"bytes read as a decimal":     {decimal("9", "2"), of(`"bytes"`), []string{"field total became decimal(9,2) (it was bytes): add a new field"}},
		"a thousandth":                {long("timestamp-micros"), long("timestamp-millis"), []string{"field total became timestamp-micros (it was timestamp-millis): add a new field"}},
		"a local time":                {long("local-timestamp-millis"), long("timestamp-millis"), []string{"field total became local-timestamp-millis (it was timestamp-millis): add a new field"}},
		"a long read as a time":       {long("timestamp-millis"), of(`"long"`), nil},
		"an int read as a time":       {long("timestamp-millis"), of(`"int"`), nil},
		"a time read as a long":       {of(`"long"`), long("timestamp-millis"), nil},
		"a date read as a time":       {long("timestamp-millis"), of(`{"type": "int", "logicalType": "date"}`), []string{"field total became timestamp-millis (it was date): add a new field"}},
		"a string read as a uuid":     {of(`{"type": "string", "logicalType": "uuid"}`), of(`"string"`), []string{"field total became uuid (it was string): add a new field"}},
		"a uuid read as a string":     {of(`"string"`), of(`{"type": "string", "logicalType": "uuid"}`), nil},
		"a uuid read as bytes":        {of(`"bytes"`), of(`{"type": "string", "logicalType": "uuid"}`), nil},
		"no logical type of the kind": {of(`{"type": "int", "logicalType": "timestamp-millis"}`), of(`{"type": "int", "logicalType": "date"}`), nil},
		"a date that is long":         {long("date"), long("timestamp-millis"), nil},
		"logical types of others":     {of(`{"type": "long", "logicalType": "money"}`), of(`{"type": "long", "logicalType": "weight"}`), nil},
		"a duration":                  {fixed("D", `"size": 12, "logicalType": "duration"`), fixed("D", `"size": 12`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, err := avro.CanRead(tt.reader, tt.writer)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if diff := cmp.Diff(tt.problems, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCanRead_no_schema(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ reader, writer, want string }{
		"an empty reader":  {``, `"int"`, "avro: the reader's schema is empty: give a JSON text"},
		"an empty writer":  {`"int"`, ``, "avro: the writer's schema is empty: give a JSON text"},
		"no JSON":          {`{"type": }`, `"int"`, "avro: the reader's text is no Avro schema: invalid schema json: expected number at offset 9"},
		"an unknown type":  {`"int"`, of(`"nope"`), `avro: the writer's text is no Avro schema: unknown type "nope"`},
		"no field names":   {`{"type": "record", "name": "R", "fields": [{"type": "int"}]}`, `"int"`, "avro: the reader's text is no Avro schema: "},
		"a bad default":    {order(`{"name": "id", "type": "int", "default": "x"}`), `"int"`, "avro: the reader's text is no Avro schema: "},
		"names twice":      {order(`{"name": "a", "type": `+money+`}`, `{"name": "b", "type": `+money+`}`), `"int"`, "avro: the reader's text is no Avro schema: "},
		"more after it":    {`"int"`, `"int" "int"`, "avro: the writer's text is no Avro schema: "},
		"an alias, a name": {order(`{"name": "comment", "aliases": ["note"], "type": "string"}`, note), `"int"`, "avro: the reader's text is no Avro schema: "},
		"unions in unions": {`["int", ["null", "string"]]`, `"int"`, "avro: the reader's text is no Avro schema: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, err := avro.CanRead(tt.reader, tt.writer)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || problems != nil {
				t.Errorf("%v, %v, want %s", problems, err, tt.want)
			}
		})
	}
}
