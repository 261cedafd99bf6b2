package table

// Columns lists the key and the columns that the row type has fields for.
func (s *Shape) Columns() []string {
	list := s.keyNames()
	for i := range s.columns {
		list = append(list, s.columns[i].column)
	}
	return list
}

// Copies reports a table that COPY can write, and whose rows may be folded in parts.
func (s *Shape) Copies() bool { return s.copies && s.keeps() }
