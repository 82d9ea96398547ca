-- The clinic's replication rules, for the cloud's database. Runs on PostgreSQL, MySQL/MariaDB and SQLite.
-- Mind that it clears all configuration first, the registrations of nodes too.

delete from sym_trigger_router;
delete from sym_router;
delete from sym_trigger;
delete from sym_node_channel_ctl;
delete from sym_channel;
delete from sym_parameter;
delete from sym_registration_redirect;
delete from sym_node_identity;
delete from sym_node_security;
delete from sym_node;
delete from sym_node_group_link;
delete from sym_node_group;

insert into sym_node_group (node_group_id, description) values ('cloud', 'Has everything');
insert into sym_node_group (node_group_id, description) values ('local', 'A location, with its own patients');

insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action)
  values ('local', 'cloud', 'P');
insert into sym_node_group_link (source_node_group_id, target_node_group_id, data_event_action)
  values ('cloud', 'local', 'W');

insert into sym_channel (channel_id, processing_order, max_batch_size, enabled, description)
  values ('codes', 1, 1000, 1, 'Lookup tables');
insert into sym_channel (channel_id, processing_order, max_batch_size, enabled, description)
  values ('patients', 2, 1000, 1, 'Patients and what belongs to them');

-- The rules: everything from a location to the cloud; from the cloud to a location what belongs to its
-- patients, or everything.
insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type)
  values ('local_2_cloud', 'local', 'cloud', 'default');
insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type, router_expression)
  values ('cloud_2_select_local', 'cloud', 'local', 'lookuptable',
    'LOOKUP_TABLE=locations KEY_COLUMN=patient_id LOOKUP_KEY_COLUMN=patient_id EXTERNAL_ID_COLUMN=location_id');
insert into sym_router (router_id, source_node_group_id, target_node_group_id, router_type)
  values ('cloud_2_local', 'cloud', 'local', 'default');

-- The cloud also captures what comes from a location, so that it reaches the patient's other locations; a
-- location need not capture what comes from the cloud.
insert into sym_trigger (trigger_id, source_table_name, channel_id, sync_on_incoming_batch)
  values ('patients_cloud', 'patients', 'patients', 1);
insert into sym_trigger (trigger_id, source_table_name, channel_id, sync_on_incoming_batch)
  values ('connections_cloud', 'connections', 'patients', 1);
insert into sym_trigger (trigger_id, source_table_name, channel_id, sync_on_incoming_batch)
  values ('locations_cloud', 'locations', 'patients', 1);
insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('patients_local', 'patients', 'patients');
insert into sym_trigger (trigger_id, source_table_name, channel_id)
  values ('connections_local', 'connections', 'patients');
insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('locations_local', 'locations', 'patients');
insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('codes', 'codes', 'codes');
insert into sym_trigger (trigger_id, source_table_name, channel_id) values ('code_titles', 'code_titles', 'codes');

insert into sym_trigger_router (trigger_id, router_id, initial_load_order)
  values ('patients_cloud', 'cloud_2_select_local', 10);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order)
  values ('connections_cloud', 'cloud_2_select_local', 20);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order)
  values ('locations_cloud', 'cloud_2_select_local', 30);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order)
  values ('patients_local', 'local_2_cloud', 10);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order)
  values ('connections_local', 'local_2_cloud', 20);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order)
  values ('locations_local', 'local_2_cloud', 30);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order) values ('codes', 'cloud_2_local', 1);
insert into sym_trigger_router (trigger_id, router_id, initial_load_order) values ('code_titles', 'cloud_2_local', 2);

-- The cloud's own node: nobody registers the registration server, and nobody asks for its password.
insert into sym_node (node_id, node_group_id, external_id, sync_enabled, sync_url, created_at_node_id)
  values ('f7e41e48-ec79-4c78-9db6-37c0c4f78326', 'cloud', 'f7e41e48-ec79-4c78-9db6-37c0c4f78326', 1,
    'nats://127.0.0.1:4222/cloud-f7e41e48-ec79-4c78-9db6-37c0c4f78326', 'f7e41e48-ec79-4c78-9db6-37c0c4f78326');
insert into sym_node_security (node_id, password, registration_enabled, registration_time, created_at_node_id)
  values ('f7e41e48-ec79-4c78-9db6-37c0c4f78326', 'unused', 0, current_timestamp, 'f7e41e48-ec79-4c78-9db6-37c0c4f78326');
insert into sym_node_identity (node_id) values ('f7e41e48-ec79-4c78-9db6-37c0c4f78326');
