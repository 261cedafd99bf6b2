package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime returns the processor time of this process, which is the embedded broker
// too, and of the processes of the embedded Postgres.
func cpuTime(postgres int) time.Duration {
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return 0
	}
	return time.Duration(self.Utime.Nano()+self.Stime.Nano()) + ofFamily(postgres)
}

// ofFamily is the processor time of a process and its children, also of those that have
// ended.
func ofFamily(postgres int) time.Duration {
	if postgres == 0 {
		return 0
	}
	total := ofEnded(postgres)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return total
	}
	for _, path := range stats {
		pid := strings.Split(path, "/")[2]
		if pid == strconv.Itoa(postgres) || parent(path) == postgres {
			total += onProcessor(pid)
		}
	}
	return total
}

// fields are those of a process's stat from the third on, its state; none when it has
// ended.
func fields(stat string) []string {
	text, err := os.ReadFile(stat)
	if err != nil {
		return nil
	}
	_, after, _ := strings.Cut(string(text), ") ") // its name may have spaces
	return strings.Fields(after)
}

// number returns a field by its number in proc(5); 0 when there is none.
func number(stat string, field int) int {
	list := fields(stat)
	if len(list) <= field-3 {
		return 0
	}
	n, err := strconv.Atoi(list[field-3])
	if err != nil {
		return 0
	}
	return n
}

func parent(stat string) int { return number(stat, 4) }

// ofEnded is the processor time of a process's children that have ended, as workers of
// the database do in the middle of a round. It is counted in ticks of 10 ms.
func ofEnded(pid int) time.Duration {
	const tick = 10 * time.Millisecond
	stat := fmt.Sprintf("/proc/%d/stat", pid)
	return time.Duration(number(stat, 16)+number(stat, 17)) * tick
}

func onProcessor(pid string) time.Duration {
	text, err := os.ReadFile("/proc/" + pid + "/schedstat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(ns)
}
