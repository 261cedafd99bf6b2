package protobuf_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/asof-dev/asof/es/schema"
	"github.com/asof-dev/asof/es/schema/protobuf"
)

var _, _ schema.CanRead = protobuf.CanRead, protobuf.CanReadNewer

const (
	proto2  = `syntax = "proto2"; package shop; `
	proto3  = `syntax = "proto3"; package shop; `
	edition = `edition = "2023"; package shop; `
	line    = ` message Line { string sku = 1; int64 price = 2; }`
)

// order is a message of proto3 with the fields given, before others.
func order(fields string, others ...string) string {
	return proto3 + `message Order { ` + fields + ` }` + strings.Join(others, "")
}

func order2(fields string, others ...string) string {
	return proto2 + `message Order { ` + fields + ` }` + strings.Join(others, "")
}

func edited(fields string, others ...string) string {
	return edition + `message Order { ` + fields + ` }` + strings.Join(others, "")
}

func status3(values string) string {
	return order(`Status status = 1;`, ` enum Status { `+values+` }`)
}

func status2(values string) string {
	return order2(`optional Status status = 1;`, ` enum Status { `+values+` }`)
}

// became is the problem of a field total of two types.
func became(reader, writer, how string) []string {
	return []string{"field total became " + reader + " (it was " + writer + "): " + how + ": add a new field"}
}

const (
	mayCut   = "values may be cut"
	mayTurn  = "values may change their sign or size"
	encoding = "it reads another encoding"
)

func TestCanRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reader, writer string
		problems       []string
	}{
		"the same":          {order(`int32 total = 1;`), order(`int32 total = 1;`), nil},
		"a field more":      {order(`int32 total = 1; string note = 2;`), order(`int32 total = 1;`), nil},
		"in another order":  {order(`string note = 2; int32 total = 1;`), order(`int32 total = 1; string note = 2;`), nil},
		"a field renamed":   {order(`int32 sum = 1;`), order(`int32 total = 1;`), nil},
		"a name in JSON":    {order(`int32 total = 1 [json_name = "sum"];`), order(`int32 total = 1;`), nil},
		"proto2 to proto3":  {order(`int32 total = 1;`), order2(`optional int32 total = 1;`), nil},
		"proto3 to edition": {edited(`int32 total = 1;`), order(`int32 total = 1;`), nil},
		"a default":         {order2(`optional int32 total = 1 [default = 6];`), order2(`optional int32 total = 1 [default = 5];`), nil},
		"presence":          {order(`int32 total = 1;`), order(`optional int32 total = 1;`), nil},

		"int32 to int64":     {order(`int64 total = 1;`), order(`int32 total = 1;`), nil},
		"uint32 to int64":    {order(`int64 total = 1;`), order(`uint32 total = 1;`), nil},
		"uint32 to uint64":   {order(`uint64 total = 1;`), order(`uint32 total = 1;`), nil},
		"bool to int32":      {order(`int32 total = 1;`), order(`bool total = 1;`), nil},
		"bool to uint64":     {order(`uint64 total = 1;`), order(`bool total = 1;`), nil},
		"sint32 to sint64":   {order(`sint64 total = 1;`), order(`sint32 total = 1;`), nil},
		"string to bytes":    {order(`bytes total = 1;`), order(`string total = 1;`), nil},
		"int64 to int32":     {order(`int32 total = 1;`), order(`int64 total = 1;`), became("int32", "int64", mayCut)},
		"int64 to uint32":    {order(`uint32 total = 1;`), order(`int64 total = 1;`), became("uint32", "int64", mayCut)},
		"int32 to bool":      {order(`bool total = 1;`), order(`int32 total = 1;`), became("bool", "int32", mayCut)},
		"int32 to uint32":    {order(`uint32 total = 1;`), order(`int32 total = 1;`), became("uint32", "int32", mayTurn)},
		"int32 to uint64":    {order(`uint64 total = 1;`), order(`int32 total = 1;`), became("uint64", "int32", mayTurn)},
		"uint32 to int32":    {order(`int32 total = 1;`), order(`uint32 total = 1;`), became("int32", "uint32", mayTurn)},
		"uint64 to int64":    {order(`int64 total = 1;`), order(`uint64 total = 1;`), became("int64", "uint64", mayTurn)},
		"sint64 to sint32":   {order(`sint32 total = 1;`), order(`sint64 total = 1;`), became("sint32", "sint64", mayCut)},
		"fixed32 to sfixed":  {order(`sfixed32 total = 1;`), order(`fixed32 total = 1;`), became("sfixed32", "fixed32", mayTurn)},
		"sfixed64 to fixed":  {order(`fixed64 total = 1;`), order(`sfixed64 total = 1;`), became("fixed64", "sfixed64", mayTurn)},
		"fixed32 to fixed64": {order(`fixed64 total = 1;`), order(`fixed32 total = 1;`), became("fixed64", "fixed32", encoding)},
		"int32 to sint32":    {order(`sint32 total = 1;`), order(`int32 total = 1;`), became("sint32", "int32", encoding)},
		"int32 to fixed32":   {order(`fixed32 total = 1;`), order(`int32 total = 1;`), became("fixed32", "int32", encoding)},
		"float to double":    {order(`double total = 1;`), order(`float total = 1;`), became("double", "float", encoding)},
		"float to fixed32":   {order(`fixed32 total = 1;`), order(`float total = 1;`), became("fixed32", "float", encoding)},
		"int32 to string":    {order(`string total = 1;`), order(`int32 total = 1;`), became("string", "int32", encoding)},
		"bytes to string":    {order(`string total = 1;`), order(`bytes total = 1;`), became("string", "bytes", "bytes may be no text")},
		"string to message":  {order(`Line total = 1;`, line), order(`string total = 1;`, line), became("message Line", "string", encoding)},
		"message to bytes":   {order(`bytes total = 1;`, line), order(`Line total = 1;`, line), became("bytes", "message Line", encoding)},
		"message to group":   {order2(`optional group Total = 1 { optional int32 a = 1; }`), order2(`optional T total = 1; message T { optional int32 a = 1; }`), []string{"field total became group Order.Total (it was message Order.T): it reads another encoding: add a new field", "the whole lost the message Order.T: keep it"}},
		"delimited":          {edited(`L total = 1 [features.message_encoding = DELIMITED]; message L {}`), edited(`L total = 1; message L {}`), became("group Order.L", "message Order.L", encoding)},
		"several":            {order(`string a = 1; string b = 2; int32 c = 3;`), order(`int32 a = 1; int32 b = 2; int32 c = 3;`), []string{"field a became string (it was int32): it reads another encoding: add a new field", "field b became string (it was int32): it reads another encoding: add a new field"}},

		"a number used again":             {order(`string note = 1;`), order(`int32 total = 1;`), []string{"field note has the number 1, which total had: became string (it was int32): it reads another encoding: give it a new number, and reserve the old one"}},
		"another number":                  {order(`int32 total = 2;`), order(`int32 total = 1;`), []string{"field total has the number 2 (it was 1): give it its number again"}},
		"numbers changed for each other":  {order(`string a = 2; string b = 1;`), order(`string a = 1; string b = 2;`), []string{"field a has the number 2 (it was 1): give it its number again", "field b has the number 1 (it was 2): give it its number again"}},
		"gone":                            {order(``), order(`int32 total = 1;`), []string{`field total is gone, and its number 1 and its name may be used again: reserve 1 and "total"`}},
		"gone, the name is not reserved":  {order(`reserved 1;`), order(`int32 total = 1;`), []string{`field total is gone, and its name may be used again: reserve 1 and "total"`}},
		"gone, the number is not":         {order(`reserved "total";`), order(`int32 total = 1;`), []string{`field total is gone, and its number 1 may be used again: reserve 1 and "total"`}},
		"gone and reserved":               {order(`reserved 1; reserved "total";`), order(`int32 total = 1;`), nil},
		"gone and reserved in an edition": {edited(`reserved 1 to max; reserved total;`), order(`int32 total = 1;`), nil},

		"single to repeated":          {order(`repeated int32 total = 1;`), order(`int32 total = 1;`), nil},
		"a single message to them":    {order(`repeated Line total = 1;`, line), order(`Line total = 1;`, line), nil},
		"packed":                      {order(`repeated int32 total = 1;`), order(`repeated int32 total = 1 [packed = false];`), nil},
		"repeated to single":          {order(`string total = 1;`), order(`repeated string total = 1;`), became("string", "repeated string", "only the last of its values is read")},
		"packed to single":            {order(`int32 total = 1;`), order(`repeated int32 total = 1;`), became("int32", "repeated int32", "packed values are not read")},
		"not packed to single":        {order2(`optional int32 total = 1;`), order2(`repeated int32 total = 1;`), became("int32", "repeated int32", "only the last of its values is read")},
		"messages to one":             {order(`Line total = 1;`, line), order(`repeated Line total = 1;`, line), became("message Line", "repeated message Line", "its values are read as one")},
		"repeated to another single":  {order(`int32 total = 1;`), order(`repeated string total = 1;`), became("int32", "repeated string", encoding)},
		"packed to another single":    {order(`string total = 1;`), order(`repeated int32 total = 1;`), became("string", "repeated int32", encoding)},
		"packed to a narrower one":    {order(`int32 total = 1;`), order(`repeated int64 total = 1;`), became("int32", "repeated int64", "packed values are not read")},
		"bytes to one text":           {order(`string total = 1;`), order(`repeated bytes total = 1;`), became("string", "repeated bytes", "bytes may be no text")},
		"single to others":            {order(`repeated string total = 1;`), order(`int32 total = 1;`), became("repeated string", "int32", encoding)},
		"an element":                  {order(`repeated string tags = 1;`), order(`repeated int32 tags = 1;`), []string{"field tags[] became string (it was int32): it reads another encoding: add a new field"}},
		"an element, wider":           {order(`repeated int64 tags = 1;`), order(`repeated int32 tags = 1;`), nil},
		"a map's values":              {order(`map<string, string> prices = 1;`), order(`map<string, int32> prices = 1;`), []string{"field prices{} became string (it was int32): it reads another encoding: add a new field"}},
		"a map's keys":                {order(`map<int32, int32> prices = 1;`), order(`map<string, int32> prices = 1;`), []string{"field prices has keys of int32 (they were of string): it reads another encoding: add a new field"}},
		"a map's keys, wider":         {order(`map<int64, int32> prices = 1;`), order(`map<int32, int32> prices = 1;`), nil},
		"a field of a map's values":   {order(`map<string, Price> prices = 1;`, ` message Price { int32 amount = 1; }`), order(`map<string, Price> prices = 1;`, ` message Price { int64 amount = 1; }`), []string{"field prices{}.amount became int32 (it was int64): values may be cut: add a new field"}},
		"a map to its entries":        {order(`repeated E total = 1;`, ` message E { string k = 1; int32 v = 2; }`), order(`map<string, int32> total = 1;`), nil},
		"a map to others":             {order(`repeated E total = 1;`, ` message E { int32 k = 1; int32 v = 2; }`), order(`map<string, int32> total = 1;`), []string{"field total[].k has the number 1, which key had: became int32 (it was string): it reads another encoding: give it a new number, and reserve the old one"}},
		"entries to a map":            {order(`map<string, int32> total = 1;`, ` message E {}`), order(`repeated E total = 1;`, ` message E { string k = 1; int32 v = 2; }`), became("map<string, int32>", "repeated message E", "of entries with the same key one is read")},
		"a map of what was a number":  {order(`map<string, int32> total = 1;`), order(`int32 total = 1;`), became("map<string, int32>", "int32", encoding)},
		"a map to one message":        {order(`E total = 1;`, ` message E { string key = 1; int32 value = 2; }`), order(`map<string, int32> total = 1;`), became("message E", "map<string, int32>", "its values are read as one")},
		"a field within":              {order(`repeated Line lines = 1;`, ` message Line { string sku = 1; int32 price = 2; }`), order(`repeated Line lines = 1;`, line), []string{"field lines[].price became int32 (it was int64): values may be cut: add a new field"}},
		"a field within, gone":        {order(`Line line = 1;`, ` message Line { string sku = 1; }`), order(`Line line = 1;`, line), []string{`field line.price is gone, and its number 2 and its name may be used again: reserve 2 and "price"`}},
		"a message within, renamed":   {order(`Item line = 1;`, strings.Replace(line, "Line", "Item", 1)), order(`Line line = 1;`, line), nil},
		"of two fields, told once":    {order(`Line a = 1; Line b = 2;`, ` message Line { string sku = 1; int32 price = 2; }`), order(`Line a = 1; Line b = 2;`, line), []string{"field a.price became int32 (it was int64): values may be cut: add a new field"}},
		"Timestamp":                   {known("Timestamp"), known("Timestamp"), nil},
		"Timestamp to Duration":       {known("Duration"), known("Timestamp"), became("message google.protobuf.Duration", "message google.protobuf.Timestamp", "it means something else")},
		"a recursion":                 {order(`Order next = 1; int64 value = 2;`), order(`Order next = 1; int32 value = 2;`), nil},
		"a recursion's field":         {order(`Order next = 1; int32 value = 2;`), order(`Order next = 1; int64 value = 2;`), []string{"field value became int32 (it was int64): values may be cut: add a new field"}},
		"a recursion by another":      {order(`Tree tree = 1;`, ` message Tree { repeated Tree of = 1; string name = 2; }`), order(`Tree tree = 1;`, ` message Tree { repeated Tree of = 1; bytes name = 2; }`), []string{"field tree.name became string (it was bytes): bytes may be no text: add a new field"}},
		"a recursion that is another": {order(`Order next = 1;`, ` message Other { string next = 1; }`), order(`Other next = 1;`, ` message Other { string next = 1; }`), []string{"field next.next became message Order (it was string): it reads another encoding: add a new field"}},

		"became required":           {order2(`required int32 total = 1;`), order2(`optional int32 total = 1;`), []string{"field total became required: what was written without it is not read: leave it optional"}},
		"new and required":          {order2(`required int32 total = 1;`), order2(``), []string{"field total is required, and was not written: leave it optional"}},
		"required no more":          {order2(`optional int32 total = 1;`), order2(`required int32 total = 1;`), nil},
		"required in an edition":    {edited(`int32 total = 1 [features.field_presence = LEGACY_REQUIRED];`), edited(`int32 total = 1;`), []string{"field total became required: what was written without it is not read: leave it optional"}},
		"of proto2, in an edition":  {edited(`int32 total = 1 [features.field_presence = LEGACY_REQUIRED];`), order2(`required int32 total = 1;`), nil},
		"required and another type": {order2(`required int32 total = 1;`), order2(`optional string total = 1;`), []string{"field total became required: what was written without it is not read: leave it optional", "field total became int32 (it was string): it reads another encoding: add a new field"}},

		"into a oneof, alone":             {order(`oneof pay { string card = 1; }`), order(`string card = 1;`), nil},
		"into a oneof, with a new one":    {order(`oneof pay { string card = 1; string cash = 2; }`), order(`string card = 1;`), nil},
		"into a oneof, with another":      {order(`oneof pay { string card = 1; string cash = 2; }`), order(`string card = 1; string cash = 2;`), []string{"field card moved into the oneof pay with others: of what was set only one is read: add a new field", "field cash moved into the oneof pay with others: of what was set only one is read: add a new field"}},
		"into a oneof that was there":     {order(`oneof pay { string card = 1; string cash = 2; }`), order(`oneof pay { string card = 1; } string cash = 2;`), []string{"field cash moved into the oneof pay with others: of what was set only one is read: add a new field"}},
		"into a oneof, with one it leads": {order(`oneof pay { string cash = 2; string card = 1; }`), order(`oneof pay { string card = 1; } string cash = 2;`), []string{"field cash moved into the oneof pay with others: of what was set only one is read: add a new field"}},
		"two oneofs become one":           {order(`oneof pay { string card = 1; string cash = 2; }`), order(`oneof a { string card = 1; } oneof b { string cash = 2; }`), []string{"field cash moved into the oneof pay with others: of what was set only one is read: add a new field"}},
		"one oneof becomes two":           {order(`oneof a { string card = 1; } oneof b { string cash = 2; }`), order(`oneof pay { string card = 1; string cash = 2; }`), nil},
		"out of a oneof":                  {order(`oneof pay { string card = 1; } string cash = 2;`), order(`oneof pay { string card = 1; string cash = 2; }`), []string{"field cash moved out of the oneof pay: it does not exclude the others any more: add a new field"}},
		"out of a oneof, alone":           {order(`string card = 1;`), order(`oneof pay { string card = 1; }`), nil},
		"a oneof renamed":                 {order(`oneof payment { string card = 1; string cash = 2; }`), order(`oneof pay { string card = 1; string cash = 2; }`), nil},
		"optional, into a oneof":          {order(`oneof pay { string card = 1; string cash = 2; }`), order(`optional string card = 1; optional string cash = 2;`), []string{"field card moved into the oneof pay with others: of what was set only one is read: add a new field", "field cash moved into the oneof pay with others: of what was set only one is read: add a new field"}},
		"optional is no oneof":            {order(`optional string card = 1; optional string cash = 2;`), order(`string card = 1; string cash = 2;`), nil},
		"a type within a oneof":           {order(`oneof pay { int32 card = 1; }`), order(`oneof pay { string card = 1; }`), []string{"field card became int32 (it was string): it reads another encoding: add a new field"}},

		"a value more":                     {status3(`NEW = 0; PAID = 1;`), status3(`NEW = 0;`), nil},
		"a value renamed":                  {status3(`NEW = 0; PAID = 1;`), status3(`NEW = 0; DONE = 1;`), nil},
		"a value gone":                     {status3(`NEW = 0;`), status3(`NEW = 0; PAID = 1;`), []string{`field status lost the value PAID, and its number 1 and its name may be used again: reserve 1 and "PAID"`}},
		"a value gone and reserved":        {status3(`NEW = 0; reserved 1; reserved "PAID";`), status3(`NEW = 0; PAID = 1;`), nil},
		"a value gone, its name is not":    {status3(`NEW = 0; reserved 1;`), status3(`NEW = 0; PAID = 1;`), []string{`field status lost the value PAID, and its name may be used again: reserve 1 and "PAID"`}},
		"a value's number":                 {status3(`NEW = 0; PAID = 2;`), status3(`NEW = 0; PAID = 1;`), []string{"field status has the number 2 for PAID (it was 1): give it its number again"}},
		"another name for a value":         {status3(`option allow_alias = true; NEW = 0; PAID = 1; DONE = 1;`), status3(`NEW = 0; PAID = 1;`), nil},
		"a closed enum's value gone":       {status2(`NEW = 1; reserved 2; reserved "PAID";`), status2(`NEW = 1; PAID = 2;`), []string{"field status lost the value PAID: 2 is not read: keep it"}},
		"a closed enum's value gone, once": {status2(`NEW = 1;`), status2(`NEW = 1; PAID = 2;`), []string{"field status lost the value PAID: 2 is not read: keep it"}},
		"an enum closed":                   {edited(`S status = 1; enum S { option features.enum_type = CLOSED; A = 0; }`), edited(`S status = 1; enum S { A = 0; }`), []string{"field status became closed: numbers that it does not name are not read: keep it open"}},
		"an enum opened":                   {status3(`NEW = 0; PAID = 1;`), status2(`NEW = 0; PAID = 1;`), nil},
		"an enum to int32":                 {order(`int32 total = 1;`), order(`S total = 1; enum S { A = 0; }`), nil},
		"an enum to int64":                 {order(`int64 total = 1;`), order(`S total = 1; enum S { A = 0; }`), nil},
		"an enum to uint32":                {order(`uint32 total = 1;`), order(`S total = 1; enum S { A = 0; }`), became("uint32", "enum Order.S", mayTurn)},
		"int32 to an enum":                 {order(`S total = 1; enum S { A = 0; }`), order(`int32 total = 1;`), nil},
		"int64 to an enum":                 {order(`S total = 1; enum S { A = 0; }`), order(`int64 total = 1;`), became("enum Order.S", "int64", mayCut)},
		"int32 to a closed enum":           {order2(`optional S total = 1; enum S { A = 0; }`), order2(`optional int32 total = 1;`), became("enum Order.S", "int32", "numbers that it does not name are not read")},
		"a string to an enum":              {order(`S total = 1; enum S { A = 0; }`), order(`string total = 1;`), became("enum Order.S", "string", encoding)},
		"a value of an element":            {order(`repeated S all = 1; enum S { A = 0; }`), order(`repeated S all = 1; enum S { A = 0; B = 1; }`), []string{`field all[] lost the value B, and its number 1 and its name may be used again: reserve 1 and "B"`}},

		"the message renamed":   {strings.Replace(order(``), "Order", "Purchase", 1), order(``), []string{"the whole became shop.Purchase (it was shop.Order): keep the name, and the message the first: consumers find it by that"}},
		"the package renamed":   {strings.Replace(order(`Line l = 1;`, line), "shop", "store", 1), order(`Line l = 1;`, line), []string{"the whole became store.Order (it was shop.Order): keep the name, and the message the first: consumers find it by that"}},
		"no package":            {strings.Replace(order(``), "package shop;", "", 1), order(``), []string{"the whole became Order (it was shop.Order): keep the name, and the message the first: consumers find it by that"}},
		"another message first": {proto3 + `message A {} message Order {}`, proto3 + `message Order {} message A {}`, []string{"the whole became shop.A (it was shop.Order): keep the name, and the message the first: consumers find it by that"}},
		"a message gone":        {order(``), order(``, line), []string{"the whole lost the message Line: keep it"}},
		"a message within gone": {order(``), order(`message A { message B {} }`), []string{"the whole lost the message Order.A: keep it"}},
		"a message deep gone":   {order(`message A {}`), order(`message A { message B {} }`), []string{"the whole lost the message Order.A.B: keep it"}},
		"a message moved":       {order(`Line l = 1;` + line), order(`Line l = 1;`, line), nil},
		"a message more":        {order(``, line), order(``), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.problems, texts(t, protobuf.CanRead, tt.reader, tt.writer)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func known(name string) string {
	return strings.Replace(order(`google.protobuf.`+name+` total = 1;`), "package", `import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto"; package`, 1)
}

func texts(t *testing.T, canRead schema.CanRead, reader, writer string) (list []string) {
	t.Helper()
	problems, err := canRead(reader, writer)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		list = append(list, p.String())
	}
	return list
}

// What is new in the writer's schema is not gone from the reader's; what is gone from it is.
func TestCanReadNewer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reader, writer string
		problems       []string
	}{
		"a field more":          {order(``), order(`int32 total = 1;`), nil},
		"a message more":        {order(``), order(`Line l = 1;`, line), nil},
		"a value more":          {status3(`NEW = 0;`), status3(`NEW = 0; PAID = 1;`), nil},
		"a closed value more":   {status2(`NEW = 0;`), status2(`NEW = 0; PAID = 1;`), []string{"field status lost the value PAID: 1 is not read: keep it"}},
		"a closed value gone":   {status2(`NEW = 0; PAID = 1;`), status2(`NEW = 0;`), []string{`field status lost the value PAID, and its number 1 and its name may be used again: reserve 1 and "PAID"`}},
		"a field gone":          {order(`int32 total = 1;`), order(``), []string{`field total is gone, and its number 1 and its name may be used again: reserve 1 and "total"`}},
		"a field gone, kept":    {order(`int32 total = 1;`), order(`reserved 1; reserved "total";`), nil},
		"a required field gone": {order2(`required int32 total = 1;`), order2(`reserved 1; reserved "total";`), []string{"field total is required, and was not written: leave it optional"}},
		"a message gone":        {order(``, line), order(``), []string{"the whole lost the message Line: keep it"}},
		"a type":                {order(`int32 total = 1;`), order(`int64 total = 1;`), became("int32", "int64", mayCut)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.problems, texts(t, protobuf.CanReadNewer, tt.reader, tt.writer)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCanRead_no_schema(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ reader, writer, want string }{
		"an empty reader":   {``, order(``), "protobuf: the reader's schema has no message: its first is the payload's"},
		"an empty writer":   {order(``), ``, "protobuf: the writer's schema has no message: its first is the payload's"},
		"an unknown type":   {"syntax = \"proto3\";\nmessage A { B b = 1; }", order(``), "protobuf: the reader's text is no schema: reader.proto:2:13: field A.b: unknown type B"},
		"no syntax":         {order(``), "nonsense", "protobuf: the writer's text is no schema: writer.proto:1:1: syntax error"},
		"a number twice":    {order(`int32 a = 1; int32 b = 1;`), order(``), "protobuf: the reader's text is no schema: reader.proto:1:"},
		"another file":      {`import "other.proto"; message A {}`, order(``), "protobuf: the reader's text is no schema: reader.proto:1:8: other.proto is not to be had: of imports there is google/protobuf/*.proto alone"},
		"itself":            {order(``), `import "writer.proto"; message A {}`, "protobuf: the writer's text is no schema: writer.proto:1:8: cycle found"},
		"an unknown Google": {`import "google/protobuf/none.proto"; message A {}`, order(``), "protobuf: the reader's text is no schema: "},
		"a later edition":   {`edition = "2024"; message A {}`, order(``), "protobuf: the reader's text is no schema: reader.proto:1:11: edition"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			problems, err := protobuf.CanRead(tt.reader, tt.writer)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || problems != nil {
				t.Errorf("%v, %v, want %s", problems, err, tt.want)
			}
		})
	}
}
