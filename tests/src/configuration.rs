//! Configurations smaller than the clinic, as SQL for the registration server's `sym_` tables.

/// Groups, links between them, channels, and one trigger for each table and link.
#[derive(Debug, Default)]
pub struct Configuration {
    links: Vec<(String, String)>,
    tables: Vec<(String, String)>,
    extra: String,
    max_batch_size: Option<u32>,
}

impl Configuration {
    /// Changes in `group` go to `target_group`.
    #[must_use]
    pub fn link(mut self, group: &str, target_group: &str) -> Self {
        self.links.push((group.to_owned(), target_group.to_owned()));
        self
    }

    /// All rows of `table` travel on `channel`, over every link.
    #[must_use]
    pub fn table(mut self, table: &str, channel: &str) -> Self {
        self.tables.push((table.to_owned(), channel.to_owned()));
        self
    }

    /// `max_batch_size` of all channels.
    #[must_use]
    pub fn max_batch_size(mut self, rows: u32) -> Self {
        self.max_batch_size = Some(rows);
        self
    }

    /// The tables that are captured in `group`.
    pub fn tables_of(&self, group: &str) -> Vec<&str> {
        let sends = self.links.iter().any(|(from, _)| from == group);
        let tables = self.tables.iter().map(|(table, _)| table.as_str());
        tables.filter(|_| sends).collect()
    }

    /// Further statements.
    #[must_use]
    pub fn and(mut self, sql: &str) -> Self {
        self.extra.push_str(sql);
        self.extra.push_str(";\n");
        self
    }

    /// The statements.
    pub fn sql(&self) -> String {
        let mut sql = String::new();
        let mut groups: Vec<&String> = self.links.iter().flat_map(|(a, b)| [a, b]).collect();
        groups.sort();
        groups.dedup();
        for group in groups {
            // The registration server's own group may be there already.
            sql.push_str(&format!(
                "delete from sym_node_group where node_group_id = '{group}';\n\
                 insert into sym_node_group (node_group_id, description) values ('{group}', 'of a test');\n"
            ));
        }
        for (group, target) in &self.links {
            sql.push_str(&format!(
                "insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action) \
                 values ('{group}', '{target}', 'W');\n"
            ));
        }
        let mut channels: Vec<&String> = self.tables.iter().map(|(_, channel)| channel).collect();
        channels.sort();
        channels.dedup();
        let size = self.max_batch_size.unwrap_or(1000);
        for channel in channels {
            sql.push_str(&format!(
                "insert into sym_channel (channel_id, processing_order, max_batch_size, enabled) \
                 values ('{channel}', 1, {size}, 1);\n"
            ));
        }
        for (table, channel) in &self.tables {
            for (group, target) in &self.links {
                sql.push_str(&format!(
                    "insert into sym_trigger (trigger_id, source_table_name, source_node_group_id, \
                     target_node_group_id, channel_id, create_time, last_updated_time) values \
                     ('{table}_{group}_{target}', '{table}', '{group}', '{target}', '{channel}', \
                     current_timestamp, current_timestamp);\n"
                ));
            }
        }
        sql + &self.extra
    }
}
