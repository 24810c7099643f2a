//! The schemas, one module per API. Source: the message definitions of Apache Kafka 4.1.

pub mod alter_configs;
pub mod api_versions;
pub mod consumer_protocol;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sync_group;

/// Applies a macro to all APIs: `name module` pairs.
macro_rules! for_each_api {
    ($apply:ident) => {
        $apply! {
            Produce produce,
            Fetch fetch,
            ListOffsets list_offsets,
            Metadata metadata,
            OffsetCommit offset_commit,
            OffsetFetch offset_fetch,
            FindCoordinator find_coordinator,
            JoinGroup join_group,
            Heartbeat heartbeat,
            LeaveGroup leave_group,
            SyncGroup sync_group,
            DescribeGroups describe_groups,
            ListGroups list_groups,
            ApiVersions api_versions,
            CreateTopics create_topics,
            DeleteTopics delete_topics,
            DeleteRecords delete_records,
            InitProducerId init_producer_id,
            OffsetForLeaderEpoch offset_for_leader_epoch,
            DescribeConfigs describe_configs,
            AlterConfigs alter_configs,
            CreatePartitions create_partitions,
            DeleteGroups delete_groups,
            IncrementalAlterConfigs incremental_alter_configs,
            OffsetDelete offset_delete,
            DescribeCluster describe_cluster,
        }
    };
}

pub(crate) use for_each_api;
