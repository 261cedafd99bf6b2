package table

// Columns lists the columns that the row type has fields for, and the keys, each behind its
// table and a dot.
func (s *Shape) Columns() []string {
	var names []string
	for _, t := range s.tables() {
		for _, name := range t.copied() {
			names = append(names, t.Name+"."+name)
		}
	}
	return names
}

// Copies reports tables that a rebuild may write with COPY.
func (s *Shape) Copies() bool { return s.copies && s.keeps() }

// Lost lists the fields that have no column.
func (s *Shape) Lost() []string { return s.lost }
