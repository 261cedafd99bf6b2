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
	total := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || postgres == 0 {
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

func parent(stat string) int {
	text, err := os.ReadFile(stat)
	if err != nil {
		return 0 // it has ended
	}
	_, after, _ := strings.Cut(string(text), ") ") // its name may have spaces
	var state string
	var ppid int
	if _, err := fmt.Sscan(after, &state, &ppid); err != nil {
		return 0
	}
	return ppid
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
