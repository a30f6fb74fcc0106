package applog

import (
	"regexp"
	"strings"
)

// System is a kind of peer that is known by its clients' words and its port.
type System struct {
	Name string
	Port string // that it listens on unless told otherwise
	// words match the names of its drivers and its own messages.
	words *regexp.Regexp
	// image matches the names of images that run it.
	image *regexp.Regexp
}

func system(name, port, words, image string) System {
	return System{name, port, regexp.MustCompile(words), regexp.MustCompile(`(?i)(?:^|[/_-])(?:` + image + `)(?:[:@_-]|$)`)}
}

// Systems are the kinds of peers that are known, in the order in which a
// record is searched for them.
var Systems = []System{
	system("PostgreSQL", "5432", `(?i)postgres|psycopg|\bpgx?\b|npgsql|pg_hba|libpq|\bPG(?:PASSWORD|PASSFILE|USER|HOST|DATABASE)\b|password authentication failed for user|remaining connection slots|too many clients already|SQLSTATE 28P01`, `postgres\w*|postgis|cloudnative-pg|spilo|timescaledb`),
	system("MySQL", "3306", `(?i)mysql|mariadb|Access denied for user|Communications link failure`, `mysql\w*|mariadb|percona\w*`),
	system("MongoDB", "27017", `(?i)mongo`, `mongo\w*`),
	system("Redis", "6379", `(?i)redis|lettuce|jedis|WRONGPASS|NOAUTH|READONLY You can't write`, `redis\w*|valkey|keydb|dragonfly`),
	system("RabbitMQ", "5672", `(?i)rabbit|amqp|ACCESS_REFUSED|pika`, `rabbitmq\w*`),
	system("Kafka", "9092", `(?i)kafka|sarama|No ?Brokers ?Available`, `kafka|redpanda`),
	system("NATS", "4222", `\bnats: |(?i)nats\.`, `nats\w*`),
	system("Elasticsearch", "9200", `(?i)elastic|opensearch`, `elasticsearch|opensearch`),
	system("Cassandra", "9042", `(?i)cassandra|datastax`, `cassandra|scylla`),
	system("SQL Server", "1433", `(?i)sqlserver|SqlClient|SQL Server|mssql`, `mssql\w*|azure-sql-edge`),
	system("Oracle", "1521", `ORA-\d{5}|(?i)oracle\.jdbc`, `oracle\w*`),
	system("Nacos", "8848", `(?i)nacos`, `nacos\S*`),
	system("Consul", "8500", `(?i)consul`, `consul`),
	system("etcd", "2379", `\betcd`, `etcd`),
	system("Memcached", "11211", `(?i)memcache`, `memcached`),
	system("ZooKeeper", "2181", `(?i)zookeeper`, `zookeeper`),
}

// systemOf names the kind of the peer: by its port, by its name, or by the
// words of its client.
func systemOf(e *Error, lines []string) string {
	for _, s := range Systems {
		if e.Port == s.Port || e.Host != "" && s.words.MatchString(e.Host) {
			return s.Name
		}
	}
	for _, s := range Systems {
		for i, l := range lines {
			if i < 40 && s.words.MatchString(l) {
				return s.Name
			}
		}
	}
	return ""
}

// Serves returns the system that an image runs, or the zero System. An image
// that merely has the name of one in its own, such as mysqld-exporter, runs
// none.
func Serves(image string) System {
	name := image[strings.LastIndexByte(image, '/')+1:]
	if exporters.MatchString(name) {
		return System{}
	}
	for _, s := range Systems {
		if s.image.MatchString(name) {
			return s
		}
	}
	return System{}
}

// exporters matches the names of images that stand beside a system or call it.
var exporters = regexp.MustCompile(`(?i)exporter|client|operator|proxy|backup|init|ui\b|admin|connect`)
